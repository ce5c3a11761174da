"""The velocity of a path from noise to data, learned by regression, and the flow that follows it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.diffusion.solvers import Solver, column, midpoint_step, noise_like, solve
from generative_core.nets.timed_mlp import TimedMLP
from generative_core.variational.networks import require_context, require_events


class PathPoint(NamedTuple):
    """x_t = alpha x_1 + sigma x_0 and its derivative by t, each of t's shape."""

    alpha: Tensor
    sigma: Tensor
    alpha_slope: Tensor
    sigma_slope: Tensor


Path = Callable[[Tensor], PathPoint]
"""t in [0, 1] -> the point; alpha is 0 and sigma is 1 at t = 0."""


@dataclass(frozen=True)
class StraightPath:
    """alpha = t, sigma = 1 - (1 - sigma_min) t: a straight line for each pair (Lipman et al. 2023, eq. 20)."""

    sigma_min: float = 1e-4

    def __post_init__(self) -> None:
        if not 0 <= self.sigma_min < 1:
            raise ValueError(f"sigma_min must be in [0, 1), got {self.sigma_min}: at 1 the noise would stay whole")

    def __call__(self, t: Tensor) -> PathPoint:
        shrink = 1 - self.sigma_min
        return PathPoint(t, 1 - shrink * t, torch.ones_like(t), torch.full_like(t, -shrink))


@dataclass(frozen=True)
class TrigonometricPath:
    """alpha = sin(pi t / 2), sigma = cos(pi t / 2): variance preserving, as diffusion's paths are, and curved.

    Paper: Albergo & Vanden-Eijnden 2023, https://arxiv.org/abs/2209.15571.
    """

    def __call__(self, t: Tensor) -> PathPoint:
        angle = 0.5 * math.pi * t
        alpha, sigma = angle.sin(), angle.cos()
        return PathPoint(alpha, sigma, 0.5 * math.pi * sigma, -0.5 * math.pi * alpha)


@final
class FlowMatching(nn.Module):
    """dx/dt = v(x, t) carries N(0, I) at t = 0 to the data at t = 1, v learned without solving anything.

        x_t = alpha(t) x_1 + sigma(t) x_0,   x_0 ~ N(0, I), x_1 the data, t ~ U[0, 1]
        loss = mean (v(x_t, t) - (alpha'(t) x_1 + sigma'(t) x_0))^2

    The minimum over v is the velocity of the whole flow, whose draws are the data with noise of standard deviation
    sigma(1) on them.  The loss is a mean over elements, no nats.  `path` is `StraightPath()`, the optimal-transport
    path, or `TrigonometricPath()`.  `net` is v: (x (B, *E), t (B,)[, context (B, K)]) -> (B, *E); without one it is a
    `TimedMLP` with `hidden` units.  For images give a `TimeUNet`.  Events should be of the order of N(0, I).

    `sample` takes `n_steps` steps of `solver`: `euler_step`, `midpoint_step` or `heun_step`.  `log_prob` is the density
    of that flow, exact but for the solver's error; its cost grows with the elements of an event, so it is for vectors.
    A Sampler and, for that cost, no Scorer.

    Raises ValueError on settings without meaning and, when called, on an event or a context that was not declared.

    Paper: Lipman et al. 2023, https://arxiv.org/abs/2210.02747, eq. 20 to 23; the density: Chen et al. 2018,
    https://arxiv.org/abs/1806.07366, theorem 1.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        net: nn.Module | None = None,
        context_features: int = 0,
        hidden: Sequence[int] = (256, 256, 256),
        path: Path | None = None,
        n_steps: int = 32,
        solver: Solver = midpoint_step,
    ) -> None:
        super().__init__()
        _require_steps(n_steps)
        self.event_shape = tuple(event_shape)
        self.latent_features = math.prod(self.event_shape)
        self.context_features = context_features
        self.path = StraightPath() if path is None else path
        self.n_steps = n_steps
        self.solver = solver
        if net is None:
            net = TimedMLP(self.event_shape, context_features=context_features, hidden=hidden)
        self.net = net

    def loss(
        self,
        x: Float[Tensor, "B *E"],
        context: Float[Tensor, "B K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B"]:
        """The squared error of the velocity at one time and one noise for each event."""
        require_events(self, x)
        t = torch.rand(len(x), generator=generator, device=x.device, dtype=x.dtype)
        noise = noise_like(x, generator)
        at = PathPoint(*(column(part, x) for part in self.path(t)))
        x_t = at.alpha * x + at.sigma * noise
        target = at.alpha_slope * x + at.sigma_slope * noise
        return (self.velocity(x_t, t, context) - target).square().flatten(1).mean(1)

    def velocity(
        self, x: Float[Tensor, "B *E"], t: Float[Tensor, "B"], context: Float[Tensor, "B K"] | None = None
    ) -> Float[Tensor, "B *E"]:
        """v(x, t)."""
        require_context(self, len(x), context)
        return (self.net(x, t) if context is None else self.net(x, t, context)).to(x.dtype)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        context: Float[Tensor, "n K"] | None = None,
        *,
        generator: torch.Generator | None = None,
        n_steps: int | None = None,
        solver: Solver | None = None,
    ) -> Float[Tensor, "n *E"]:
        """n draws; `n_steps` and `solver` take the place of the model's own.  Without gradients."""
        n_steps = self.n_steps if n_steps is None else n_steps
        _require_steps(n_steps)
        solver = self.solver if solver is None else solver
        like = next(self.parameters())
        shape = (n, *self.event_shape)
        noise = torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)
        times = torch.linspace(0, 1, n_steps + 1, device=like.device, dtype=like.dtype)
        return solve(lambda x, t: self.velocity(x, t.expand(len(x)), context), noise, times, solver)

    def log_prob(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B"]:
        """log N(x_0; 0, I) - int_0^1 div v(x_t, t) dt, nats, with x_0 where the flow back from x ends.

        `n_steps` steps of `solver`, each with as many backward passes a call as an event has elements.  Without
        gradients.
        """
        require_events(self, x)

        def augmented(state: Tensor, t: Tensor) -> Tensor:
            """d/dt of (x_t, int div v): (B, D + 1)."""
            with torch.enable_grad():
                flat = state[:, :-1].detach().requires_grad_(True)
                v = self.velocity(flat.unflatten(1, self.event_shape), t.expand(len(flat)), context).flatten(1)
                parts = [
                    torch.autograd.grad(v[:, i].sum(), flat, retain_graph=True)[0][:, i] for i in range(v.shape[1])
                ]
            return torch.cat([v, torch.stack(parts).sum(0).unsqueeze(1)], dim=1).detach()

        times = torch.linspace(1, 0, self.n_steps + 1, device=x.device, dtype=x.dtype)
        start = torch.cat([x.flatten(1), x.new_zeros(len(x), 1)], dim=1)
        end = solve(augmented, start, times, self.solver)
        noise, minus_divergence = end[:, :-1], end[:, -1]  # integrated from 1 to 0
        log_normal = -0.5 * (noise.square() + math.log(2 * math.pi)).sum(1)
        return log_normal + minus_divergence


def _require_steps(n_steps: int) -> None:
    if n_steps < 1:
        raise ValueError(f"n_steps must be at least 1, got {n_steps}")
