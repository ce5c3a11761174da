"""A tiny instance of every model, by name.  A new model adds one line; tests/contracts/ does the rest."""

from collections.abc import Callable

from torch import nn

from generative_core import GAN, AbstractCritic, AbstractGenerator, LogitFromScore, MLPCritic, ScoreDifference
from generative_core.adversarial.gan import MLPGenerator
from tests.generative_core.toys import ToyGaussian

VECTOR = (3,)
IMAGE = (1, 4, 4)
CONTEXT = 2
"""Width of the context that the conditional models here take."""

CRITICS: dict[str, Callable[[], AbstractCritic]] = {
    "mlp_critic": lambda: MLPCritic(VECTOR, hidden=(8,)),
    "mlp_critic_conditional": lambda: MLPCritic(VECTOR, context_features=CONTEXT, hidden=(8,)),
    "mlp_critic_image": lambda: MLPCritic(IMAGE, hidden=(8,), normalise=False),
    "mlp_critic_spectral": lambda: MLPCritic(VECTOR, hidden=(8,), activation=nn.ReLU, spectral_norm=True),
    "logit_from_score": lambda: LogitFromScore(ToyGaussian([0.2, 0.1, -0.1])),
    "score_difference": lambda: ScoreDifference(ToyGaussian([1.0, 1.0, 1.0]), ToyGaussian([-1.0, -1.0, -1.0])),
}

GENERATORS: dict[str, Callable[[], AbstractGenerator]] = {
    "mlp_generator": lambda: MLPGenerator(VECTOR, latent=2, hidden=(8,)),
    "mlp_generator_image": lambda: MLPGenerator(IMAGE, latent=2, hidden=(8,), output_activation=nn.Tanh),
}

TWO_PLAYERS: dict[str, Callable[[], GAN]] = {
    "gan": lambda: GAN(VECTOR, latent=2, hidden=(8,)),
}
