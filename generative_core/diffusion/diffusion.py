"""Diffusion: noise is added in many small steps, and a network learns to take it away."""

import math
from collections.abc import Callable, Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from generative_core.densities import standard_normal_kl
from generative_core.diffusion.solvers import column, noise_like
from generative_core.families import AbstractVariational
from generative_core.nets.timed_mlp import TimedMLP
from generative_core.variational.networks import require_context, require_events


@final
class Diffusion(AbstractVariational):
    """z_t = alpha_t x + sigma_t noise, t in [0, 1], variance preserving: alpha^2 = sigmoid(l), sigma^2 = sigmoid(-l).

        l(t) = log alpha^2 / sigma^2 = max_log_snr - (max_log_snr - min_log_snr) t
        -log p(x) <= KL(q(z_1 | x) || N(0, I)) - E log N(x; z_0 / alpha_0, sigma_0^2 / alpha_0^2)
                     + (max_log_snr - min_log_snr) / 2 E_t ||noise - noise'(z_t, t)||^2

    The weights are the bound's own, so `elbo` is one in nats, at `n_times` draws of t an event; the draws of a batch
    are spread evenly over [0, 1].  The network predicts v = alpha noise - sigma x, from which noise' = alpha v' +
    sigma z_t; where it returns zeros, the law is N(0, I).  So events should be standardised.  Detail finer than
    exp(-max_log_snr / 2), in the unit of x, is blurred: that keeps the bound finite where the data repeat a value.

    `encode` and `decode` follow the probability flow from t = 0 to 1 and back, in `n_steps` steps of DPM-Solver++, and
    `sample` decodes N(0, I) and adds the noise of p(x | z_0).  The default network is an MLP with `hidden` units on the
    flattened event; another `net` takes (z (B, *E), t (B,)[, context (B, K)]) and returns v' (B, *E).

    Raises ValueError, when called, on an event or a context that was not declared.

    Papers: Kingma et al. 2021, "Variational diffusion models", https://arxiv.org/abs/2107.00630, eq. 11 to 18; v:
    Salimans & Ho 2022, https://arxiv.org/abs/2202.00512, sec. 4; the steps: Lu et al. 2022,
    https://arxiv.org/abs/2211.01095, algorithm 2.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_features: int = 0,
        hidden: Sequence[int] = (256, 256, 256),
        activation: Callable[[], nn.Module] = nn.SiLU,
        net: nn.Module | None = None,
        max_log_snr: float = 9.0,
        min_log_snr: float = -9.0,
        n_times: int = 1,
        n_steps: int = 50,
    ) -> None:
        super().__init__()
        if not max_log_snr > min_log_snr:
            raise ValueError(f"max_log_snr must be above min_log_snr, got {max_log_snr} and {min_log_snr}")
        if n_times < 1 or n_steps < 1:
            raise ValueError(f"n_times and n_steps must be at least 1, got {n_times} and {n_steps}")
        self.event_shape = tuple(event_shape)
        self.latent_features = math.prod(self.event_shape)
        self.context_features = context_features
        self.max_log_snr, self.min_log_snr = max_log_snr, min_log_snr
        self.n_times, self.n_steps = n_times, n_steps
        if net is None:
            net = TimedMLP(self.event_shape, context_features=context_features, hidden=hidden, activation=activation)
        self.net = net

    def elbo(
        self,
        x: Float[Tensor, "B *E"],
        context: Float[Tensor, "B K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B"]:
        """The bound at `n_times` draws, nats."""
        require_events(self, x)
        require_context(self, len(x), context)
        log_alpha, log_sigma = self._log_scales(x.new_ones(()))
        prior = standard_normal_kl(log_alpha.exp() * x, log_sigma).flatten(1).sum(1)
        reconstruction = 0.5 * self.latent_features * (math.log(2 * math.pi) + 1 - self.max_log_snr)
        diffusion = 0.5 * (self.max_log_snr - self.min_log_snr) * self._noise_error(x, context, generator)
        return -(prior + reconstruction + diffusion)

    def encode(
        self,
        x: Float[Tensor, "B *E"],
        context: Float[Tensor, "B K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B Z"]:
        """z_1 (B, prod E) at the end of the flow from z_0 ~ q(z_0 | x)."""
        require_events(self, x)
        require_context(self, len(x), context)
        log_alpha, log_sigma = self._log_scales(x.new_zeros(()))
        z = log_alpha.exp() * x + log_sigma.exp() * noise_like(x, generator)
        return self._flow(z, context, start=0.0).flatten(1)

    def decode(self, z: Float[Tensor, "B Z"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B *E"]:
        """The mean of p(x | z_0), with z_0 where the flow from z_1 = z ends."""
        require_context(self, len(z), context)
        z = self._flow(z.unflatten(1, self.event_shape), context, start=1.0)
        log_alpha, _ = self._log_scales(z.new_zeros(()))
        return z / log_alpha.exp()

    @torch.no_grad()
    def sample(
        self, n: int, context: Float[Tensor, "n K"] | None = None, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """n draws: z_1 ~ N(0, I), decoded, with the noise of p(x | z_0).  Without gradients; `decode` has them."""
        like = next(self.parameters())
        z = torch.randn(n, self.latent_features, generator=generator, device=like.device, dtype=like.dtype)
        mean = self.decode(z, context)
        return mean + math.exp(-0.5 * self.max_log_snr) * noise_like(mean, generator)

    def _noise_error(self, x: Tensor, context: Tensor | None, generator: torch.Generator | None) -> Float[Tensor, "B"]:
        """||noise - noise'||^2, the mean over `n_times` draws of t and noise for each event."""
        k, n = self.n_times, len(x)
        first = torch.rand((), generator=generator, device=x.device, dtype=x.dtype)
        places = torch.arange(k * n, device=x.device, dtype=x.dtype).view(k, n) / max(1, k * n)
        t = (first + places.T.flatten()) % 1  # (B k,): those of an event are 1 / k apart
        x_k = x.repeat_interleave(k, dim=0)
        noise = noise_like(x_k, generator)
        log_alpha, log_sigma = self._log_scales(column(t, x))
        z = log_alpha.exp() * x_k + log_sigma.exp() * noise
        context_k = None if context is None else context.repeat_interleave(k, dim=0)
        predicted = log_alpha.exp() * self._v(z, t, context_k) + log_sigma.exp() * z
        return (noise - predicted).square().flatten(1).sum(1).view(n, k).mean(1)

    def _flow(self, z: Tensor, context: Tensor | None, *, start: float) -> Tensor:
        """DPM-Solver++ (2M) from t = `start`, 0 or 1, to the other end; x' is extrapolated by half a step."""
        times = torch.linspace(start, 1 - start, self.n_steps + 1, device=z.device, dtype=z.dtype)
        log_alphas, log_sigmas = self._log_scales(times)
        before: Tensor | None = None
        for i in range(self.n_steps):
            alpha, sigma = log_alphas[i].exp(), log_sigmas[i].exp()
            x = alpha * z - sigma * self._v(z, times[i].expand(len(z)), context)
            ahead = x if before is None else 1.5 * x - 0.5 * before
            step = (log_alphas[i + 1] - log_sigmas[i + 1]) - (log_alphas[i] - log_sigmas[i])
            z = (log_sigmas[i + 1] - log_sigmas[i]).exp() * z - log_alphas[i + 1].exp() * torch.expm1(-step) * ahead
            before = x
        return z

    def _v(self, z: Tensor, t: Float[Tensor, "B"], context: Tensor | None) -> Tensor:
        return (self.net(z, t) if context is None else self.net(z, t, context)).to(z.dtype)

    def _log_scales(self, t: Float[Tensor, "*S"]) -> tuple[Float[Tensor, "*S"], Float[Tensor, "*S"]]:
        """log alpha and log sigma."""
        log_snr = self.max_log_snr - (self.max_log_snr - self.min_log_snr) * t
        return 0.5 * F.logsigmoid(log_snr), 0.5 * F.logsigmoid(-log_snr)
