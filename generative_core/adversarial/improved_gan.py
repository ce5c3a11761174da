"""The GAN with the techniques that steady its training, each for itself."""

from collections.abc import Sequence
from functools import partial
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core import objectives
from generative_core.adversarial.networks import ConvGenerator, leaky_relu
from generative_core.families import AbstractCritic, AbstractGAN, AbstractGenerator, Terms
from generative_core.nets.conv import ConvEncoder
from generative_core.nets.minibatch import MinibatchDiscrimination, VirtualBatchNorm
from generative_core.protocols import ScoreKind


@final
class ImprovedGAN(AbstractGAN):
    """The non-saturating game, with whatever of the paper's techniques is asked for.

        feature_matching        the generator's loss is ||E_data f(x) - E_z f(G(z))||^2, f the critic's `embed`
        minibatch_kernels       > 0: so many similarities to the rest of the batch join f in the critic
        historical_averaging    > 0: weight of ||theta - mean of all theta so far||^2, for both players
        label_smoothing         > 0: the data's label is 1 - label_smoothing; the model's stays 0
        virtual_batch_norm      > 0: so many latents, drawn once, are the reference batch of the generator's norms

    A batch is (x,), events in the range of the generator's output: [-1, 1] unless `generator` is given.  `trunk` maps x
    (B, *E) to f (B, features) in the place of the strided convolutions.  Raises ValueError for `virtual_batch_norm`
    with a generator that is given, which brings its own norms, and for a `label_smoothing` outside [0, 1).

    Paper: Salimans et al. 2016, https://arxiv.org/abs/1606.03498, sec. 3.1-3.5.  Its semi-supervised critic is
    `SemiSupervisedGAN`, its score `metrics.inception_score`.
    """

    generator: AbstractGenerator
    critic: "_FeatureCritic"

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        feature_matching: bool = False,
        minibatch_kernels: int = 0,
        historical_averaging: float = 0.0,
        label_smoothing: float = 0.0,
        virtual_batch_norm: int = 0,
        latent: int = 100,
        channels: Sequence[int] = (128, 64),
        features: int = 128,
        generator: AbstractGenerator | None = None,
        trunk: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing is taken off the label 1 and must be in [0, 1), got {label_smoothing}")
        if generator is not None and virtual_batch_norm:
            raise ValueError("virtual_batch_norm is of the convolutional generator: leave it out, or `generator`")
        self.event_shape = tuple(event_shape)
        self.feature_matching = feature_matching
        self.historical_averaging = historical_averaging
        self.label_data = 1.0 - label_smoothing
        if virtual_batch_norm:
            self.generator = _ReferencedGenerator(event_shape, virtual_batch_norm, latent, channels)
        else:
            if generator is None:
                generator = ConvGenerator(event_shape, latent=latent, channels=channels)
            self.generator = generator
        if trunk is None:
            trunk = conv_trunk(event_shape, features, channels=tuple(channels)[::-1])
        self.critic = _FeatureCritic(event_shape, trunk, features, kernels=minibatch_kernels)
        if minibatch_kernels or label_smoothing:  # the logit is of the batch too, or of smoothed labels: no ratio
            self.critic.score_kind = ScoreKind.CRITIC_VALUE
        if historical_averaging:
            self.past_critic, self.past_generator = _History(self.critic), _History(self.generator)

    def critic_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """Cross-entropy, its data's label lowered where asked for, and the distance to the critic's past."""
        (x,) = batch
        logits = self.critic.logit(x), self.critic.logit(drawn)
        terms = {"adversarial": objectives.smoothed_critic_loss(*logits, label_data=self.label_data)}
        if self.historical_averaging:
            terms["history"] = self.historical_averaging * self.past_critic(self.critic)
        return terms

    def generator_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """-log D or the distance of mean features, and the distance to the generator's past."""
        (x,) = batch
        terms: Terms = {}
        if self.feature_matching:
            with torch.no_grad():
                features_data = self.critic.embed(x)
            features = self.critic.embed(drawn)
            terms["feature_matching"] = objectives.feature_matching_loss(features_data, features)
        else:
            terms["adversarial"] = objectives.bce_generator_loss(self.critic.logit(drawn))
        if self.historical_averaging:
            terms["history"] = self.historical_averaging * self.past_generator(self.generator)
        return terms


def conv_trunk(event_shape: Sequence[int], features: int, *, channels: Sequence[int]) -> nn.Module:
    """x (B, C, *S) -> (B, features): strided convolutions and a hidden layer, LeakyReLU(0.2) after each."""
    encoder = ConvEncoder(event_shape, features, channels=channels, activation=leaky_relu)
    return nn.Sequential(encoder, leaky_relu())


@final
class _FeatureCritic(AbstractCritic):
    """logit(x) = w . [f(x), similarities to the batch] + b, with f the trunk."""

    def __init__(self, event_shape: Sequence[int], trunk: nn.Module, features: int, *, kernels: int) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.trunk = trunk
        self.minibatch = MinibatchDiscrimination(features, kernels=kernels) if kernels else None
        self.output = nn.Linear(features + kernels, 1)

    def embed(self, x: Float[Tensor, "B *E"]) -> Float[Tensor, "B F"]:
        """f: what feature matching compares."""
        return self.trunk(x)

    def logit(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B *K"] | None = None) -> Float[Tensor, "B"]:
        """> 0: looks like the data.  With minibatch discrimination an event's logit depends on its whole batch."""
        if context is not None:
            raise ValueError("ImprovedGAN is unconditional: call its critic without context")
        features = self.embed(x)
        return self.output(features if self.minibatch is None else self.minibatch(features)).squeeze(1)


@final
class _ReferencedGenerator(AbstractGenerator):
    """A convolutional generator whose norms go by a fixed batch of latents, which every call carries along."""

    reference: Tensor

    def __init__(self, event_shape: Sequence[int], n_reference: int, latent: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.latent_features = latent
        norm = partial(VirtualBatchNorm, n_reference=n_reference)
        self.inner = ConvGenerator(event_shape, latent=latent, channels=channels, norm=norm)
        self.register_buffer("reference", torch.randn(n_reference, latent))

    def forward(self, z: Float[Tensor, "n Z"], context: Float[Tensor, "n *K"] | None = None) -> Float[Tensor, "n *E"]:
        """One event for each latent, the same in whatever batch.  Raises ValueError on a context."""
        return self.inner(torch.cat([self.reference, z]), context)[len(self.reference) :]


@final
class _History(nn.Module):
    """The running mean of a player's parameters, kept with the model's state."""

    mean: Tensor
    n: Tensor

    def __init__(self, player: nn.Module) -> None:
        super().__init__()
        self.register_buffer("mean", nn.utils.parameters_to_vector(player.parameters()).detach())
        self.register_buffer("n", torch.zeros(()))

    def forward(self, player: nn.Module) -> Float[Tensor, ""]:
        """||theta - mean||^2 over all calls in training mode, this one included: it joins the mean first."""
        theta = nn.utils.parameters_to_vector(player.parameters())
        if self.training:
            self.n += 1
            self.mean.lerp_(theta.detach(), 1 / self.n)
        return (theta - self.mean).square().sum()
