"""The VAE that is asked to reconstruct the features of an event in a fixed network, not its pixels."""

import copy
from collections.abc import Callable, Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.families import AbstractVariational
from generative_core.protocols import ScoreKind
from generative_core.variational.networks import decode, encode, mlp_decoder, mlp_encoder
from generative_core.variational.posteriors import DiagonalGaussian


@final
class FeatureConsistentVAE(AbstractVariational):
    """A VAE whose log-likelihood is replaced by minus a distance of features, Phi_l being layer l of a fixed network.

        elbo(x) = E_q[-1/2 sum_l w_l ||Phi_l(x) - Phi_l(decode(z))||^2] - KL(q(z | x) || N(0, I))

    The distance is no density of x, so this bounds no log p(x): the scores are CRITIC_VALUEs.  w_l is the precision
    1 / s_l^2 of a Gaussian on the features of layer l and weighs it against the KL, in nats.  `sample` returns means.

    `features` maps x (B, *E) to one tensor, or to a sequence of tensors, one a layer, each (B, ...).  A copy of it is
    kept, frozen and in evaluation mode whatever the mode of the model, and saved with it.  `encoder`, `decoder` (to
    (B, *E)) and the context are as in `VAE`; `output_activation` ends the decoder: nn.Tanh for images in [-1, 1].

    Raises ValueError on weights that are not one a layer, and as `VAE` does.

    Paper: Hou et al. 2017, https://arxiv.org/abs/1610.00291, with layers of VGG-19.  Differs: a sum, where the
    paper has a mean, over the elements of a layer; w_l takes the factor up.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        features: nn.Module,
        *,
        layer_weights: Sequence[float] = (1.0,),
        latent: int = 50,
        context_features: int = 0,
        hidden: Sequence[int] = (500, 500),
        activation: Callable[[], nn.Module] = nn.Softplus,
        output_activation: Callable[[], nn.Module] = nn.Identity,
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if len(layer_weights) == 0 or min(layer_weights) < 0:
            raise ValueError(f"layer_weights must be at least one number, none negative; got {tuple(layer_weights)}")
        self.event_shape = tuple(event_shape)
        self.score_kind = ScoreKind.CRITIC_VALUE
        self.latent_features = latent
        self.context_features = context_features
        self.layer_weights = tuple(layer_weights)
        self.features = copy.deepcopy(features).eval().requires_grad_(False)
        self.encoder = encoder or mlp_encoder(self, 2 * latent, hidden, activation)
        self.decoder = decoder or mlp_decoder(self, 1, hidden, activation)
        self.output_activation = output_activation()

    def train(self, mode: bool = True) -> "FeatureConsistentVAE":
        """The feature network stays in evaluation mode: its statistics must not move."""
        super().train(mode)
        self.features.eval()
        return self

    def feature_distance(self, x: Float[Tensor, "B *E"], other: Float[Tensor, "B *E"]) -> Float[Tensor, "B"]:
        """1/2 sum_l w_l ||Phi_l(x) - Phi_l(other)||^2; differentiable in both."""
        layers = list(zip(self._layers(x), self._layers(other), strict=True))
        if len(layers) != len(self.layer_weights):
            raise ValueError(
                f"the feature network returns {len(layers)} layers and there are {len(self.layer_weights)} "
                "layer_weights; give one a layer"
            )
        terms = [
            weight * (a - b).to(x.dtype).flatten(1).square().sum(1)
            for weight, (a, b) in zip(self.layer_weights, layers, strict=True)
        ]
        return 0.5 * torch.stack(terms).sum(0)

    def posterior(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None) -> DiagonalGaussian:
        """q(z | x, context)."""
        return DiagonalGaussian.from_raw(encode(self, self.encoder, x, context, 2 * self.latent_features))

    def elbo(
        self,
        x: Float[Tensor, "B *E"],
        context: Float[Tensor, "B K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B"]:
        """Minus the feature distance at one draw, minus the KL in closed form."""
        posterior = self.posterior(x, context)
        z, _ = posterior.draw(generator=generator)
        return -self.feature_distance(x, self.decode(z, context)) - posterior.kl_terms().sum(1)

    def encode(
        self,
        x: Float[Tensor, "B *E"],
        context: Float[Tensor, "B K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B Z"]:
        """One draw z ~ q(z | x, context)."""
        return self.posterior(x, context).draw(generator=generator)[0]

    def decode(self, z: Float[Tensor, "B Z"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B *E"]:
        """The event that the decoder makes of z."""
        return self.output_activation(decode(self, self.decoder, z, context, 1).squeeze(-1))

    def reconstruct(
        self,
        x: Float[Tensor, "B *E"],
        context: Float[Tensor, "B K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B *E"]:
        """decode(z) at one draw z ~ q(z | x)."""
        return self.decode(self.encode(x, context, generator=generator), context)

    def sample(
        self, n: int, context: Float[Tensor, "n K"] | None = None, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """decode(z) for n draws z ~ N(0, I)."""
        like = next(self.encoder.parameters())
        z = torch.randn(n, self.latent_features, generator=generator, device=like.device, dtype=like.dtype)
        return self.decode(z, context)

    def _layers(self, x: Tensor) -> Sequence[Tensor]:
        out = self.features(x)
        return [out] if isinstance(out, Tensor) else list(out)
