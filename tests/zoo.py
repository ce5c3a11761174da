"""A tiny instance of every model, by name.  A new model adds one line; tests/contracts/ does the rest."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generative_core import (
    FVSBN,
    IAF,
    IAFVAE,
    IWAE,
    MADE,
    MAF,
    NADE,
    NICE,
    RBM,
    VAE,
    AbstractCritic,
    AbstractGenerator,
    Bernoulli,
    BoltzmannMachine,
    Categorical,
    ClassConditionalGaussian,
    DeepBoltzmannMachine,
    DiagonalBiLSTM,
    Diffusion,
    DiscretisedLogisticMixture,
    FeatureConsistentVAE,
    GatedPixelCNN,
    Gaussian,
    GaussianMixture,
    GaussianRBM,
    Glow,
    LogitFromScore,
    MixtureOfGaussians,
    MLPCritic,
    MultiScalePixelRNN,
    OrderAgnosticNADE,
    PixelCNN,
    PixelCNNPlusPlus,
    RealNVP,
    RowLSTM,
    ScoreDifference,
    VariationalGaussianMixture,
)
from generative_core.adversarial.gan import MLPGenerator
from generative_core.adversarial.networks import ConvCritic, ConvGenerator
from generative_core.nets.conv import ConvDecoder, ConvEncoder
from tests.generative_core.toys import ToyGaussian

VECTOR = (3,)
IMAGE = (1, 4, 4)
COLOUR = (3, 3, 2)
LOGISTICS = DiscretisedLogisticMixture(2, levels=4)
CONTEXT = 2
"""Width of the context that the conditional models here take."""


@dataclass(frozen=True)
class Case:
    """A tiny instance of a model with explicit density, and what its events look like."""

    make: Callable[[], Any]
    binary: bool = False
    """Events are 0 or 1."""
    levels: int | None = None
    """Events lie on this many evenly spaced levels of [-1, 1]; None with `binary` False: any real number."""
    context: int = 0
    """Width of the context; 0 where there is none."""
    context_is_label: bool = False
    """The context is the one-hot code of a class."""
    context_is_optional: bool = False
    """Without a context the model gives the marginal."""

    def batch(self, model: Any, n: int = 6, seed: int = 0) -> tuple[Tensor, Tensor | None]:
        """(x, context): float32, as the model takes them."""
        generator = torch.Generator().manual_seed(seed)
        shape = (n, *model.event_shape)
        if self.binary:
            x = torch.randint(2, shape, generator=generator).float()
        elif self.levels is not None:
            x = 2 * torch.randint(self.levels, shape, generator=generator) / (self.levels - 1) - 1
        else:
            x = torch.randn(shape, generator=generator)
        if not self.context:
            return x, None
        if self.context_is_label:
            return x, F.one_hot(torch.randint(self.context, (n,), generator=generator), self.context).float()
        return x, torch.randn(n, self.context, generator=generator)


CRITICS: dict[str, Callable[[], AbstractCritic]] = {
    "mlp_critic": lambda: MLPCritic(VECTOR, hidden=(8,)),
    "mlp_critic_conditional": lambda: MLPCritic(VECTOR, context_features=CONTEXT, hidden=(8,)),
    "mlp_critic_image": lambda: MLPCritic(IMAGE, hidden=(8,), normalise=False),
    "mlp_critic_spectral": lambda: MLPCritic(VECTOR, hidden=(8,), activation=nn.ReLU, spectral_norm=True),
    "conv_critic": lambda: ConvCritic(IMAGE, channels=(4, 2)),
    "conv_critic_conditional": lambda: ConvCritic(IMAGE, channels=(4,), context_features=CONTEXT),
    "logit_from_score": lambda: LogitFromScore(ToyGaussian([0.2, 0.1, -0.1])),
    "score_difference": lambda: ScoreDifference(ToyGaussian([1.0, 1.0, 1.0]), ToyGaussian([-1.0, -1.0, -1.0])),
}

GENERATORS: dict[str, Callable[[], AbstractGenerator]] = {
    "mlp_generator": lambda: MLPGenerator(VECTOR, latent=2, hidden=(8,)),
    "mlp_generator_image": lambda: MLPGenerator(IMAGE, latent=2, hidden=(8,), output_activation=nn.Tanh),
    "conv_generator": lambda: ConvGenerator(IMAGE, latent=2, channels=(4, 2)),
    "conv_generator_signal": lambda: ConvGenerator((2, 9), latent=2, channels=(4,)),
}


def noise(n_columns: int) -> Tensor:
    """What the models that have a `fit` are fitted to: 60 skewed rows."""
    return torch.randn(60, n_columns, generator=seeded()).exp() - 1


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


# Explicit density, tractable: name -> Case(factory, binary=..., levels=..., context=...)
TRACTABLES: dict[str, Case] = {
    "gaussian": Case(lambda: Gaussian(VECTOR).fit(noise(3))),
    "gaussian_image": Case(lambda: Gaussian(IMAGE, covariance="diag").fit(noise(16).unflatten(1, IMAGE))),
    "class_conditional_gaussian": Case(
        lambda: ClassConditionalGaussian(VECTOR, n_classes=CONTEXT).fit(noise(3), torch.arange(60) % 3 // 2),
        context=CONTEXT,
        context_is_label=True,
        context_is_optional=True,
    ),
    "gaussian_mixture": Case(lambda: GaussianMixture(VECTOR, n_components=3).fit(noise(3), generator=seeded())),
    "gaussian_mixture_diag": Case(
        lambda: GaussianMixture(VECTOR, n_components=3, covariance="diag").fit(noise(3), generator=seeded())
    ),
    "variational_gaussian_mixture": Case(
        lambda: VariationalGaussianMixture(VECTOR, n_components=4).fit(noise(3), generator=seeded())
    ),
    "fvsbn": Case(lambda: FVSBN((1, 3, 4)), binary=True),
    "fvsbn_conditional": Case(lambda: FVSBN(VECTOR, context_features=CONTEXT), binary=True, context=CONTEXT),
    "nade": Case(lambda: NADE((1, 3, 4), hidden=8), binary=True),
    "nade_real_conditional": Case(
        lambda: NADE(VECTOR, hidden=8, conditional=MixtureOfGaussians(2), context_features=CONTEXT), context=CONTEXT
    ),
    "nade_any_order": Case(
        lambda: OrderAgnosticNADE(VECTOR, hidden=(8, 8), n_orders=2, context_features=CONTEXT),
        binary=True,
        context=CONTEXT,
    ),
    "made": Case(lambda: MADE((1, 3, 4), hidden=(16, 16), direct=True), binary=True),
    "made_masks": Case(lambda: MADE(VECTOR, hidden=(16,), n_masks=3, random_order=True), binary=True),
    "made_real_conditional": Case(
        lambda: MADE(
            VECTOR, hidden=(16, 16), residual=True, conditional=MixtureOfGaussians(2), context_features=CONTEXT
        ),
        context=CONTEXT,
    ),
    "made_categorical": Case(lambda: MADE(VECTOR, hidden=(16,), conditional=Categorical(4)), levels=4),
    "pixelcnn": Case(lambda: PixelCNN(IMAGE, channels=8, layers=2), binary=True),
    "pixelcnn_colour": Case(lambda: PixelCNN(COLOUR, conditional=Categorical(4), channels=12, layers=1), levels=4),
    "gated_pixelcnn_conditional": Case(
        lambda: GatedPixelCNN(IMAGE, channels=4, layers=2, context_features=CONTEXT), binary=True, context=CONTEXT
    ),
    "pixelcnnpp": Case(
        lambda: PixelCNNPlusPlus(COLOUR, conditional=LOGISTICS, channels=4, blocks=1, scales=2, dropout=0.0), levels=4
    ),
    "pixelcnnpp_conditional": Case(
        lambda: PixelCNNPlusPlus(
            IMAGE, conditional=LOGISTICS, channels=4, blocks=1, scales=2, dropout=0.0, context_features=CONTEXT
        ),
        levels=4,
        context=CONTEXT,
    ),
    "row_lstm": Case(lambda: RowLSTM(IMAGE, channels=8, layers=2), binary=True),
    "diagonal_bilstm_conditional": Case(
        lambda: DiagonalBiLSTM(IMAGE, channels=8, layers=2, context_features=CONTEXT), binary=True, context=CONTEXT
    ),
    "multi_scale_conditional": Case(
        lambda: MultiScalePixelRNN(
            IMAGE,
            small=PixelCNN((1, 2, 2), channels=4, layers=1, context_features=CONTEXT),
            channels=8,
            layers=1,
            guide_channels=4,
        ),
        binary=True,
        context=CONTEXT,
    ),
    "nice": Case(lambda: NICE(VECTOR, hidden=(8,))),
    "nice_image_conditional": Case(lambda: NICE(IMAGE, hidden=(8,), context_features=CONTEXT), context=CONTEXT),
    "real_nvp": Case(lambda: RealNVP(VECTOR, couplings=4, hidden=(8,))),
    "real_nvp_conditional": Case(
        lambda: RealNVP(VECTOR, couplings=4, hidden=(8,), context_features=CONTEXT), context=CONTEXT
    ),
    "real_nvp_image_conditional": Case(
        lambda: RealNVP(IMAGE, couplings=2, hidden=(4, 4), scales=2, context_features=CONTEXT), context=CONTEXT
    ),
    "glow": Case(lambda: Glow(VECTOR, steps=2, hidden=(8,))),
    "glow_image": Case(lambda: Glow(IMAGE, steps=2, hidden=(4, 4), levels=2)),
    "glow_image_conditional": Case(
        lambda: Glow(IMAGE, steps=2, hidden=(4,), context_features=CONTEXT), context=CONTEXT
    ),
    "maf": Case(lambda: MAF(VECTOR, layers=2, hidden=(8, 8))),
    "maf_image_conditional": Case(
        lambda: MAF(IMAGE, layers=2, hidden=(8, 6), residual=False, context_features=CONTEXT), context=CONTEXT
    ),
    "iaf": Case(lambda: IAF(VECTOR, layers=2, hidden=(8, 8))),
    "iaf_conditional": Case(lambda: IAF(VECTOR, layers=2, hidden=(8,), context_features=CONTEXT), context=CONTEXT),
}

# Explicit density, approximate
VARIATIONALS: dict[str, Case] = {
    "vae": Case(lambda: VAE(VECTOR, latent=2, hidden=(8,))),
    "vae_binary_conditional": Case(
        lambda: VAE(IMAGE, latent=2, likelihood=Bernoulli(), hidden=(8,), context_features=CONTEXT),
        binary=True,
        context=CONTEXT,
    ),
    "vae_conv": Case(
        lambda: VAE(
            IMAGE,
            latent=2,
            likelihood=LOGISTICS,
            encoder=ConvEncoder(IMAGE, 4, channels=(4,)),
            decoder=ConvDecoder(2, (LOGISTICS.n_parameters, 4, 4), channels=(4,)),
        ),
        levels=4,
    ),
    "diffusion": Case(lambda: Diffusion(VECTOR, hidden=(16,), n_steps=8)),
    "diffusion_conditional": Case(
        lambda: Diffusion(IMAGE, hidden=(16,), context_features=CONTEXT, n_times=3, n_steps=8), context=CONTEXT
    ),
    "iwae": Case(lambda: IWAE(VAE(VECTOR, latent=2, hidden=(8,)), importance_samples=3)),
    "iaf_vae": Case(
        lambda: IAFVAE(VECTOR, latent=3, steps=2, flow_hidden=(8,), flow_context=4, hidden=(8,), free_bits=0.1)
    ),
    "iaf_vae_binary_conditional": Case(
        lambda: IAFVAE(
            IMAGE, latent=2, likelihood=Bernoulli(), steps=2, flow_context=4, hidden=(8,), context_features=CONTEXT
        ),
        binary=True,
        context=CONTEXT,
    ),
    "feature_consistent_vae": Case(
        lambda: FeatureConsistentVAE(VECTOR, nn.Linear(3, 4), latent=2, hidden=(8,), context_features=CONTEXT),
        context=CONTEXT,
    ),
}
ENERGIES: dict[str, Case] = {
    "rbm": Case(lambda: RBM(VECTOR, n_hidden=4), binary=True),
    "rbm_image": Case(lambda: RBM(IMAGE, n_hidden=8), binary=True),
    "gaussian_rbm": Case(lambda: GaussianRBM(VECTOR, n_hidden=4)),
    "boltzmann_machine": Case(lambda: BoltzmannMachine(VECTOR), binary=True),
    "boltzmann_machine_hidden": Case(lambda: BoltzmannMachine((1, 2, 2), n_hidden=3), binary=True),
    "deep_boltzmann_machine": Case(lambda: DeepBoltzmannMachine(IMAGE, n_hidden=(6, 4)), binary=True),
}
