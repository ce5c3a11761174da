"""Diffusion as a denoiser of every noise level, sampled along its probability flow or with fresh noise on the way."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.diffusion.solvers import Velocity, column, euler_step, heun_step, noise_like
from generative_core.nets.timed_mlp import TimedMLP
from generative_core.variational.networks import require_context, require_events


class Churn(NamedTuple):
    """How much fresh noise the stochastic sampler adds: its defaults are the paper's for ImageNet-64."""

    amount: float = 40.0
    """S_churn: the level rises by a factor 1 + min(amount / steps, sqrt 2 - 1) before each step; 0 for no noise."""
    sigma_low: float = 0.05
    """S_tmin: below it nothing is added."""
    sigma_high: float = 50.0
    """S_tmax: nor above it."""
    inflation: float = 1.003
    """S_noise: standard deviation of the fresh noise, in the unit of what its level asks for."""


class Preconditioning(NamedTuple):
    """D(x; s) = skip x + out F(in x; noise), and the weight of the loss, each (B,)."""

    skip: Tensor
    out: Tensor
    into: Tensor
    noise: Tensor
    weight: Tensor


@final
class EDM(nn.Module):
    """A denoiser D(x; s) of x = y + s N(0, I), for all levels s, and the samplers that it makes.

        loss = weight(s) mean (D(y + s n; s) - y)^2,   log s ~ N(log_sigma_mean, log_sigma_std^2)
        D(x; s) = c_skip x + c_out F(c_in x; c_noise)
        dx / ds = (x - D(x; s)) / s                      the probability flow, solved from sigma_max to 0

    with `preconditioning` such that F's input and target have unit variance where y has standard deviation
    `sigma_data`; the loss (a mean over the elements, no nats) is 1 for an F that says nothing.  Events are used
    as they are.  `net` is F: (x (B, *E), c_noise (B,)[, context (B, K)]) -> (B, *E); without one it is a `TimedMLP`
    with `hidden` units.  For images give a `TimeUNet`.

    `sample` takes `n_steps` Heun steps, so 2 n_steps - 1 calls of F; `churn` adds fresh noise before each.  This is a
    Sampler and no Scorer: the weights of the loss are not those of a bound on log p(x); `Diffusion` has one.

    Raises ValueError on settings without meaning and, when called, on an event or a context that was not declared.

    Paper: Karras et al. 2022, https://arxiv.org/abs/2206.00364, table 1 (last column), eq. 5 and 8, algorithms 1 and 2.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        net: nn.Module | None = None,
        context_features: int = 0,
        hidden: Sequence[int] = (256, 256, 256),
        sigma_data: float = 0.5,
        log_sigma_mean: float = -1.2,
        log_sigma_std: float = 1.2,
        sigma_min: float = 0.002,
        sigma_max: float = 80.0,
        rho: float = 7.0,
        n_steps: int = 18,
        churn: Churn | None = None,
    ) -> None:
        super().__init__()
        if not 0 < sigma_min < sigma_max or not sigma_data > 0:
            raise ValueError(
                f"levels need 0 < sigma_min < sigma_max and sigma_data > 0, got {sigma_min}, {sigma_max}, {sigma_data}"
            )
        _require_steps(n_steps)
        self.event_shape = tuple(event_shape)
        self.latent_features = math.prod(self.event_shape)
        self.context_features = context_features
        self.sigma_data = sigma_data
        self.log_sigma_mean, self.log_sigma_std = log_sigma_mean, log_sigma_std
        self.sigma_min, self.sigma_max, self.rho = sigma_min, sigma_max, rho
        self.n_steps = n_steps
        self.churn = churn
        # c_noise = log(s) / 4 of levels within exp(+-16) of each other: far from a period of 8
        if net is None:
            net = TimedMLP(self.event_shape, context_features=context_features, hidden=hidden, period=8.0)
        self.net = net

    def loss(
        self,
        x: Float[Tensor, "B *E"],
        context: Float[Tensor, "B K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B"]:
        """The weighted error of one denoising at a level of its own for each event."""
        require_events(self, x)
        level = torch.randn(len(x), generator=generator, device=x.device, dtype=x.dtype)
        sigma = (self.log_sigma_mean + self.log_sigma_std * level).exp()
        noisy = x + column(sigma, x) * noise_like(x, generator)
        error = (self.denoise(noisy, sigma, context) - x).square().flatten(1).mean(1)
        return self.preconditioning(sigma).weight * error

    def denoise(
        self, x: Float[Tensor, "B *E"], sigma: Float[Tensor, "B"], context: Float[Tensor, "B K"] | None = None
    ) -> Float[Tensor, "B *E"]:
        """D(x; sigma), the estimate of E[y | y + sigma n = x]."""
        require_context(self, len(x), context)
        at = self.preconditioning(sigma)
        scaled = column(at.into, x) * x
        out = self.net(scaled, at.noise) if context is None else self.net(scaled, at.noise, context)
        return column(at.skip, x) * x + column(at.out, x) * out.to(x.dtype)

    def preconditioning(self, sigma: Float[Tensor, "B"]) -> Preconditioning:
        """The scales at these levels: Karras et al. 2022, table 1."""
        variance = sigma.square() + self.sigma_data**2
        return Preconditioning(
            skip=self.sigma_data**2 / variance,
            out=sigma * self.sigma_data / variance.sqrt(),
            into=1 / variance.sqrt(),
            noise=sigma.log() / 4,
            weight=variance / (sigma * self.sigma_data).square(),
        )

    @torch.no_grad()
    def sample(
        self,
        n: int,
        context: Float[Tensor, "n K"] | None = None,
        *,
        generator: torch.Generator | None = None,
        n_steps: int | None = None,
        churn: Churn | None = None,
    ) -> Float[Tensor, "n *E"]:
        """n draws; `n_steps` and `churn` take the place of the model's own, `Churn(amount=0)` is none.  No gradient."""
        n_steps = self.n_steps if n_steps is None else n_steps
        _require_steps(n_steps)
        churn = self.churn if churn is None else churn
        like = next(self.parameters())
        shape = (n, *self.event_shape)
        noise = torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)
        levels = sigma_levels(n_steps, sigma_min=self.sigma_min, sigma_max=self.sigma_max, rho=self.rho).to(like)

        def slope(x: Tensor, sigma: Tensor) -> Tensor:
            return (x - self.denoise(x, sigma.expand(len(x)), context)) / sigma

        return sample_heun(slope, levels[0] * noise, levels, churn=churn, generator=generator)


def _require_steps(n_steps: int) -> None:
    if n_steps < 2:
        raise ValueError(f"n_steps must be at least 2, from sigma_max over sigma_min to 0; got {n_steps}")


def sigma_levels(n_steps: int, *, sigma_min: float, sigma_max: float, rho: float = 7.0) -> Float[Tensor, "T"]:
    """sigma_max = s_0 > ... > s_{n-1} = sigma_min, s_n = 0, even in s^(1/rho) but for the last: Karras et al., eq. 5.

    (n_steps + 1,), float64.
    """
    roots = torch.linspace(sigma_max ** (1 / rho), sigma_min ** (1 / rho), n_steps, dtype=torch.float64)
    return torch.cat([roots**rho, roots.new_zeros(1)])


def sample_heun(
    slope: Velocity,
    x: Float[Tensor, "n *E"],
    levels: Float[Tensor, "T"],
    *,
    churn: Churn | None = None,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "n *E"]:
    """x at level 0 from x ~ N(0, levels[0]^2 I), along `slope` (x, s) -> (x - D(x; s)) / s.

    Algorithm 1 of Karras et al. 2022, and with `churn` algorithm 2.  The last step, where the slope at 0 is not to be
    had, is Euler's.
    """
    n_steps = len(levels) - 1
    for level, following in pairwise(levels):
        start = level
        if churn is not None and churn.amount > 0 and churn.sigma_low <= level <= churn.sigma_high:
            start = level * (1 + min(churn.amount / n_steps, math.sqrt(2) - 1))
            extra = (start.square() - level.square()).sqrt()
            x = x + churn.inflation * extra * noise_like(x, generator)
        x = (heun_step if following > 0 else euler_step)(slope, x, start, following)
    return x
