"""The VAE whose posterior is an inverse autoregressive flow: correlated, skewed or curved where a Gaussian is none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.autoregressive.conditionals import Conditional
from generative_core.densities import free_bits, standard_normal_log_prob
from generative_core.nets.masked import MaskedMLP
from generative_core.variational.latent_variable import AbstractLatentVariable
from generative_core.variational.likelihoods import GaussianLikelihood, require_mean
from generative_core.variational.networks import encode, mlp_decoder, mlp_encoder
from generative_core.variational.posteriors import DiagonalGaussian

FORGET_BIAS = 2.0
"""Added to a step's gate: an untrained step keeps sigmoid(2) = 0.88 of z.  Kingma et al. 2016 suggest 1 to 2."""


class IAFStep(nn.Module):
    """z -> s z + (1 - s) m, s = sigmoid(gate), and log s; element j of (m, gate) sees the elements before it and h."""

    def __init__(self, latent: int, flow_context: int, *, hidden: Sequence[int], backwards: bool) -> None:
        super().__init__()
        order = torch.arange(latent)
        self.net = MaskedMLP(
            latent,
            2,
            hidden=hidden,
            context_features=flow_context,
            activation=nn.ELU,
            order=order.flip(0) if backwards else order,
        )

    def forward(
        self, z: Float[Tensor, "B Z"], h: Float[Tensor, "B H"]
    ) -> tuple[Float[Tensor, "B Z"], Float[Tensor, "B Z"]]:
        m, gate = self.net(z, h).to(z.dtype).unbind(-1)
        gate = gate + FORGET_BIAS
        return torch.lerp(m, z, torch.sigmoid(gate)), F.logsigmoid(gate)


@dataclass(frozen=True)
class IAFPosterior:
    """q(z): a diagonal Gaussian pushed through `steps`, each of which sees h."""

    base: DiagonalGaussian
    h: Float[Tensor, "B H"]
    steps: Sequence[nn.Module]

    def draw(self, *, generator: torch.Generator | None = None) -> tuple[Float[Tensor, "B Z"], Float[Tensor, "B Z"]]:
        return self.push(self.base.noise(generator=generator))

    def push(self, noise: Float[Tensor, "B Z"]) -> tuple[Float[Tensor, "B Z"], Float[Tensor, "B Z"]]:
        """z and the terms of log q(z) = sum_j log N(noise_j; 0, 1) - log s_j0 - ... - log s_jT, nats."""
        z, log_q = self.base.push(noise)
        for step in self.steps:
            z, log_s = step(z, self.h)
            log_q = log_q - log_s
        return z, log_q

    def repeat(self, k: int) -> "IAFPosterior":
        return IAFPosterior(self.base.repeat(k), self.h.repeat(k, 1), self.steps)


@final
class IAFVAE(AbstractLatentVariable):
    """z ~ N(0, I), x ~ p(x | z), q(z | x) = a Gaussian, then `steps` inverse autoregressive steps given h(x).

        z_0 = m_0(x) + s_0(x) noise;   z_t = s_t z_{t-1} + (1 - s_t) m_t,   (m_t, s_t) = MADE_t(z_{t-1}, h(x))
        log p(x) >= E_q[log p(x | z) + log N(z; 0, I) - log q(z | x)], at one draw

    Sampling from q takes one pass; every other step runs through the elements of z backwards.  `free_bits`, in nats a
    latent element, acts in training mode alone: an element whose KL, averaged over the batch, is less than that counts
    as that much.  So trained, the bound is a little lower and couples the events of a batch; 0 is the plain bound.

    Networks and `likelihood` are as in `VAE`, but the encoder returns (B, 2 latent + flow_context): the means and log
    scales of z_0, and h.

    Raises ValueError, when called, on an event or a context that was not declared, and on networks with other outputs.

    Paper: Kingma et al. 2016, https://arxiv.org/abs/1606.04934, algorithm 1.  Differs: one layer of
    latents, with MADE steps (the paper's MNIST model; its CIFAR-10 model stacks convolutional layers of them).
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        latent: int = 50,
        likelihood: Conditional | None = None,
        context_features: int = 0,
        steps: int = 4,
        flow_hidden: Sequence[int] = (320,),
        flow_context: int = 100,
        free_bits: float = 0.0,
        hidden: Sequence[int] = (500, 500),
        activation: Callable[[], nn.Module] = nn.Softplus,
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if steps < 1 or flow_context < 1 or free_bits < 0:
            raise ValueError(
                f"IAFVAE needs steps >= 1 (with none it is a VAE), flow_context >= 1 and free_bits >= 0; "
                f"got {steps}, {flow_context} and {free_bits}"
            )
        self.event_shape = tuple(event_shape)
        self.latent_features = latent
        self.context_features = context_features
        self.flow_context = flow_context
        self.free_bits = free_bits
        self.likelihood = GaussianLikelihood() if likelihood is None else likelihood
        require_mean(self.likelihood)
        self.encoder = encoder or mlp_encoder(self, 2 * latent + flow_context, hidden, activation)
        self.decoder = decoder or mlp_decoder(self, self.likelihood.n_parameters, hidden, activation)
        self.steps = nn.ModuleList(
            [IAFStep(latent, flow_context, hidden=flow_hidden, backwards=t % 2 == 1) for t in range(steps)]
        )

    def posterior(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None) -> IAFPosterior:
        """q(z | x, context)."""
        raw = encode(self, self.encoder, x, context, 2 * self.latent_features + self.flow_context)
        gaussian, h = raw.split([2 * self.latent_features, self.flow_context], dim=1)
        return IAFPosterior(DiagonalGaussian.from_raw(gaussian), h, list(self.steps))

    def elbo(
        self,
        x: Float[Tensor, "B *E"],
        context: Float[Tensor, "B K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B"]:
        """E_q[log p(x | z) + log N(z; 0, I) - log q(z | x)] at one draw, nats; with `free_bits` in training mode."""
        z, log_q = self.posterior(x, context).draw(generator=generator)
        kl = log_q - standard_normal_log_prob(z)  # (B, Z), one-draw estimates: not each >= 0
        penalty = free_bits(kl, self.free_bits) if self.training and self.free_bits > 0 else kl.sum(1)
        return self.log_likelihood(x, z, context) - penalty
