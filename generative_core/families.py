"""The taxonomy of generative models as abstract classes: one required density method each, the rest derived once.

    explicit density, tractable     AbstractTractable      log_prob
    explicit density, approximate   AbstractVariational    elbo
                                    AbstractEnergy         energy
    implicit density                AbstractGenerator      forward (its judge: AbstractCritic, logit)
                                    AbstractTwoPlayer      draw, critic_terms, generator_terms, sample
                                    AbstractGAN            critic_terms, generator_terms (draws G(z))

Concrete models subclass one of these and are final: to change a model's behaviour, wrap it.
"""

from abc import ABC, abstractmethod
from typing import Any, NoReturn, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.protocols import ScoreKind


class AbstractTractable(nn.Module, ABC):
    """Exact density.  Required: `log_prob` and `sample`."""

    event_shape: tuple[int, ...]
    score_kind: ScoreKind = ScoreKind.LOG_PROB

    @abstractmethod
    def log_prob(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B *K"] | None = None) -> Float[Tensor, "B"]:
        """log p(x | context), nats."""

    @abstractmethod
    def sample(
        self, n: int, context: Float[Tensor, "n *K"] | None = None, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """n exact draws from p(x | context)."""

    @final
    def score(
        self,
        x: Float[Tensor, "B *E"],
        context: Float[Tensor, "B *K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B"]:
        """log p(x | context), nats; nothing random, so `generator` is not used."""
        return self.log_prob(x, context)

    def loss(
        self,
        x: Float[Tensor, "B *E"],
        context: Float[Tensor, "B *K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B"]:
        """-log p(x | context), nats; a model that trains on an unbiased estimate of it draws from `generator`."""
        return -self.log_prob(x, context)


class AbstractVariational(nn.Module, ABC):
    """Latent-variable density known through a lower bound.  Required: `elbo`, `encode`, `decode` and `sample`."""

    event_shape: tuple[int, ...]
    score_kind: ScoreKind = ScoreKind.LOG_BOUND

    @abstractmethod
    def elbo(
        self,
        x: Float[Tensor, "B *E"],
        context: Float[Tensor, "B *K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B"]:
        """A one-draw estimate of E_q[log p(x, z) - log q(z | x)] <= log p(x), nats."""

    @abstractmethod
    def encode(
        self,
        x: Float[Tensor, "B *E"],
        context: Float[Tensor, "B *K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B Z"]:
        """One draw z ~ q(z | x)."""

    @abstractmethod
    def decode(self, z: Float[Tensor, "B Z"], context: Float[Tensor, "B *K"] | None = None) -> Float[Tensor, "B *E"]:
        """The mean of p(x | z)."""

    @abstractmethod
    def sample(
        self, n: int, context: Float[Tensor, "n *K"] | None = None, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """n draws z ~ p(z), x ~ p(x | z)."""

    @final
    def score(
        self,
        x: Float[Tensor, "B *E"],
        context: Float[Tensor, "B *K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B"]:
        """The evidence lower bound, nats."""
        return self.elbo(x, context, generator=generator)

    @final
    def loss(
        self,
        x: Float[Tensor, "B *E"],
        context: Float[Tensor, "B *K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B"]:
        """Minus the evidence lower bound, nats."""
        return -self.elbo(x, context, generator=generator)


class AbstractEnergy(nn.Module, ABC):
    """p(x) = exp(-E(x)) / Z with Z unknown.  Required: `energy` and `sample` (a Markov chain)."""

    event_shape: tuple[int, ...]
    score_kind: ScoreKind = ScoreKind.UNNORMALISED

    @abstractmethod
    def energy(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B *K"] | None = None) -> Float[Tensor, "B"]:
        """E(x), nats: lower is more like the data."""

    @abstractmethod
    def sample(
        self, n: int, context: Float[Tensor, "n *K"] | None = None, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """The last states of n chains."""

    @final
    def score(
        self,
        x: Float[Tensor, "B *E"],
        context: Float[Tensor, "B *K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B"]:
        """-E(x) = log p(x) + log Z, nats; nothing random, so `generator` is not used."""
        return -self.energy(x, context)


class AbstractCritic(nn.Module, ABC):
    """Tells data from model samples.  Required: `logit`.

    Trained by binary cross-entropy its logit tends to log p_data(x) - log p_model(x).  A critic that is trained with
    another loss sets `score_kind` to CRITIC_VALUE.
    """

    event_shape: tuple[int, ...]
    score_kind: ScoreKind = ScoreKind.LOG_RATIO

    @abstractmethod
    def logit(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B *K"] | None = None) -> Float[Tensor, "B"]:
        """> 0: looks like the data."""

    def features(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B *K"] | None = None) -> Float[Tensor, "B *F"]:
        """The space in which a gradient penalty is measured: x, unless the critic scales its own inputs."""
        return x

    def logit_from_features(
        self, features: Float[Tensor, "B *F"], context: Float[Tensor, "B *K"] | None = None
    ) -> Float[Tensor, "B"]:
        """The inverse route: logit(x, context) == logit_from_features(features(x, context), context)."""
        return self.logit(features, context)

    def update_normaliser(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B *K"] | None = None) -> None:
        """Merge a batch into the statistics by which the critic scales its inputs; most critics have none."""
        return None

    @final
    def score(
        self,
        x: Float[Tensor, "B *E"],
        context: Float[Tensor, "B *K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B"]:
        """The logit; nothing random, so `generator` is not used."""
        return self.logit(x, context)


class AbstractGenerator(nn.Module, ABC):
    """x = G(z), z ~ N(0, I): samples, no density.  Required: `forward`."""

    event_shape: tuple[int, ...]
    latent_features: int

    @abstractmethod
    def forward(self, z: Float[Tensor, "n Z"], context: Float[Tensor, "n *K"] | None = None) -> Float[Tensor, "n *E"]:
        """One event for each latent."""

    def sample_latent(self, n: int, *, generator: torch.Generator | None = None) -> Float[Tensor, "n Z"]:
        """z ~ N(0, I), on the device and in the dtype of the parameters."""
        like = next(self.parameters())
        return torch.randn(n, self.latent_features, generator=generator, device=like.device, dtype=like.dtype)

    @final
    def sample(
        self, n: int, context: Float[Tensor, "n *K"] | None = None, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """n draws G(z)."""
        return self(self.sample_latent(n, generator=generator), context)

    @final
    def log_prob(self, *_: object, **__: object) -> NoReturn:
        """Always a TypeError: the density of G(z) is implicit."""
        raise TypeError(
            f"{type(self).__name__} has no log_prob: the density of its samples is implicit in the map from noise and "
            "cannot be evaluated; use a flow, an autoregressive model or a mixture for exact densities, or the logit "
            "of a trained critic for a density ratio"
        )


Drawn = Tensor | tuple[Tensor, ...]
"""What a generator makes for a batch: events, and whatever else the losses need of the same draw."""

Terms = dict[str, Tensor]
"""Named scalars with their weights in: a player minimises their sum."""


class AbstractTwoPlayer(nn.Module, ABC):
    """Two players with losses of their own, each over its own parameters.  Required: `draw`, `*_terms` and `sample`.

    `AdversarialStep` plays the game.  The parameters of one player are those of `generator`, of the other those of
    `critic`; everything else in the model is fixed.  What a batch consists of is stated by each model.
    """

    event_shape: tuple[int, ...]
    generator: nn.Module
    critic: nn.Module

    @abstractmethod
    def draw(self, *batch: Tensor, generator: torch.Generator | None = None) -> Drawn:
        """What the generator makes for this batch, differentiable in its parameters; `generator` is the random one."""

    @abstractmethod
    def critic_terms(self, drawn: Any, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """The critic's losses, of what `draw` returned, without its gradients; {}: the critic rests this time."""

    @abstractmethod
    def generator_terms(self, drawn: Any, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """The generator's losses, of what `draw` returned."""

    @abstractmethod
    def sample(
        self, n: int, context: Float[Tensor, "n *K"] | None = None, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """n events."""


class AbstractGAN(AbstractTwoPlayer):
    """The game around x = G(z): batches (x,) or (x, context).  Required: `critic_terms` and `generator_terms`."""

    generator: AbstractGenerator
    critic: AbstractCritic

    @final
    def draw(self, *batch: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One event for each of the batch, of its context where there is one; `generator` is the random one."""
        x, *context = batch
        return self.generator.sample(len(x), *context, generator=generator)

    @final
    def sample(
        self, n: int, context: Float[Tensor, "n *K"] | None = None, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """n draws G(z); `generator` is the random one."""
        return self.generator.sample(n, context, generator=generator)
