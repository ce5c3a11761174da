"""All cases of the benchmark: one visible dict.  A new model is one entry."""

from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.data import DataSet
from benchmarks.images.evaluation import AnnealedImportance, Exact, ImportanceWeighted
from benchmarks.images.recipes import Case, ClosedForm, Recipe, persistent_chains
from generative_core import (
    FVSBN,
    IAFVAE,
    IWAE,
    MADE,
    MAF,
    NADE,
    NICE,
    VAE,
    Bernoulli,
    ClassConditionalGaussian,
    DiagonalBiLSTM,
    DiscretisedLogisticMixture,
    GatedPixelCNN,
    Gaussian,
    GaussianMixture,
    Glow,
    MultiScalePixelRNN,
    OrderAgnosticNADE,
    PixelCNN,
    PixelCNNPlusPlus,
    RealNVP,
    RowLSTM,
    VariationalGaussianMixture,
)
from generative_core.markov_chain.deep_boltzmann_machine import DeepBoltzmannMachine
from generative_core.markov_chain.rbm import RBM
from generative_core.nets.conv import ConvDecoder, ConvEncoder


def fit_plain(model: Any, x: Tensor, labels: Tensor, generator: torch.Generator) -> None:
    model.fit(x)


def fit_drawn(model: Any, x: Tensor, labels: Tensor, generator: torch.Generator) -> None:
    """Starts from clusters that are drawn."""
    model.fit(x, generator=generator)


def fit_labelled(model: Any, x: Tensor, labels: Tensor, generator: torch.Generator) -> None:
    model.fit(x, labels)


def start_from_rates(model: Any, x: Tensor) -> None:
    model.initialise(x)


def convolutional(data: DataSet, latent: int, n_encoded: int, channels: int) -> dict[str, Any]:
    """Encoder, decoder and likelihood of the latent-variable models of binary images."""
    encoder = ConvEncoder(data.event_shape, 256, channels=(channels, 2 * channels), activation=nn.SiLU)
    decoder = ConvDecoder(256, data.event_shape, channels=(2 * channels, channels), activation=nn.SiLU)
    return {
        "latent": latent,
        "encoder": nn.Sequential(encoder, nn.SiLU(), nn.Linear(256, n_encoded)),
        "decoder": nn.Sequential(nn.Linear(latent, 256), nn.SiLU(), decoder),
        "likelihood": Bernoulli(),
    }


def vae(data: DataSet, latent: int = 40, channels: int = 32) -> VAE:
    return VAE(data.event_shape, **convolutional(data, latent, 2 * latent, channels))


def iaf_vae(data: DataSet, latent: int = 40, channels: int = 32, steps: int = 2, h: int = 100) -> IAFVAE:
    networks = convolutional(data, latent, 2 * latent + h, channels)
    return IAFVAE(data.event_shape, **networks, steps=steps, flow_context=h)


def multi_scale(data: DataSet, channels: int, layers: int) -> MultiScalePixelRNN:
    """The image given its every second pixel, and those by themselves."""
    n_colours, height, width = data.event_shape
    small = DiagonalBiLSTM((n_colours, height // 2, width // 2), channels=channels, layers=layers)
    return MultiScalePixelRNN(data.event_shape, small=small, channels=channels, layers=layers, guide_channels=channels)


def pixelcnn_pp(data: DataSet, channels: int, blocks: int, components: int) -> PixelCNNPlusPlus:
    assert data.event_levels is not None
    law = DiscretisedLogisticMixture(components, data.event_levels)
    return PixelCNNPlusPlus(data.event_shape, conditional=law, channels=channels, blocks=blocks, scales=2)


# The pixel models on the processor: about 33 000 parameters each, the same updates, on 14 x 14 pixels.
SMALL_PIXELS: dict[str, Any] = {"steps": 4_000, "max_side": 14, "lr": 2e-3, "warm_up": 100, "ema": 0.998, "looks": 20}
SMALL_PIXELS |= {"max_grad_norm": 1.0}
LARGE_PIXELS: dict[str, Any] = {"steps": 100_000, "lr": 5e-4, "warm_up": 1000, "ema": 0.9995, "patience": 15}
LARGE_PIXELS |= {"max_grad_norm": 1.0, "looks": 50}
# The flows on the processor: the same updates on the same batches.
SMALL_FLOWS: dict[str, Any] = {"steps": 6_000, "batch_size": 50, "warm_up": 200, "max_grad_norm": 50.0, "ema": 0.998}
SMALL_FLOWS |= {"looks": 20}
LARGE_FLOWS: dict[str, Any] = {"steps": 100_000, "batch_size": 256, "warm_up": 1000, "max_grad_norm": 50.0}
LARGE_FLOWS |= {"ema": 0.9995, "looks": 50}

# The bounds of latent-variable models: the same networks, and as many updates as half an hour of a core allows.
SMALL_BOUNDS: dict[str, Any] = {"steps": 16_000, "lr": 3e-3, "warm_up": 500, "ema": 0.998, "max_grad_norm": 100.0}
SMALL_BOUNDS |= {"looks": 20}
LARGE_BOUNDS: dict[str, Any] = SMALL_BOUNDS | {"steps": 200_000, "lr": 1e-3, "ema": 0.9995, "looks": 50}
LOGISTIC: dict[str, Any] = {"steps": 10_000, "lr": 5e-3, "ema": 0.999, "looks": 20, "prepare": start_from_rates}

CASES: dict[str, Case] = {
    # -- explicit, tractable: binary images ----------------------------------------------------------------------------
    "fvsbn": Case(
        about="FVSBN",
        dataset="mnist",
        pixels="fixed",
        evaluation=Exact(),
        cpu=Recipe(build=lambda data: FVSBN(data.event_shape), **LOGISTIC),
        gpu=Recipe(build=lambda data: FVSBN(data.event_shape), **LOGISTIC),
    ),
    "nade": Case(
        about="NADE, 500 units",
        dataset="mnist",
        pixels="fixed",
        evaluation=Exact(),
        cpu=Recipe(build=lambda data: NADE(data.event_shape, hidden=500), steps=12_000, lr=2e-3, ema=0.999, looks=24),
        gpu=Recipe(build=lambda data: NADE(data.event_shape, hidden=500), steps=100_000, ema=0.9995, patience=15),
    ),
    "order-agnostic-nade": Case(
        about="order-agnostic NADE, 2 layers",
        dataset="mnist",
        pixels="fixed",
        evaluation=Exact(),
        cpu=Recipe(build=lambda data: OrderAgnosticNADE(data.event_shape), steps=50_000, ema=0.9995, looks=5),
        gpu=Recipe(
            build=lambda data: OrderAgnosticNADE(data.event_shape, n_orders=16), steps=1_000_000, ema=0.9999, looks=10
        ),
    ),
    "made": Case(
        about="MADE, 1 layer, 1 mask",
        dataset="mnist",
        pixels="fixed",
        evaluation=Exact(),
        cpu=Recipe(  # short: it overfits from the tenth epoch on
            build=lambda data: MADE(data.event_shape, hidden=(8000,)),
            steps=4_000,
            warm_up=200,
            ema=0.998,
            looks=16,
            prepare=start_from_rates,
        ),
        gpu=Recipe(
            build=lambda data: MADE(data.event_shape, hidden=(8000,)), steps=100_000, ema=0.9995, patience=10, looks=100
        ),
    ),
    "made-masks": Case(
        about="MADE, 2 layers, 32 masks",
        dataset="mnist",
        pixels="fixed",
        evaluation=Exact(),
        cpu=Recipe(
            build=lambda data: MADE(data.event_shape, hidden=(1000, 1000), n_masks=32),
            steps=40_000,
            ema=0.9995,
            looks=20,
        ),
        gpu=Recipe(
            build=lambda data: MADE(data.event_shape, hidden=(8000, 8000), n_masks=32),
            steps=200_000,
            ema=0.9995,
            patience=10,
        ),
    ),
    "pixelcnn": Case(
        about="PixelCNN",
        dataset="mnist",
        pixels="fixed",
        evaluation=Exact(),
        cpu=Recipe(build=lambda data: PixelCNN(data.event_shape, channels=42, layers=7), **SMALL_PIXELS),
        gpu=Recipe(build=lambda data: PixelCNN(data.event_shape, channels=64, layers=12), **LARGE_PIXELS),
    ),
    "gated-pixelcnn": Case(
        about="Gated PixelCNN",
        dataset="mnist",
        pixels="fixed",
        evaluation=Exact(),
        cpu=Recipe(build=lambda data: GatedPixelCNN(data.event_shape, channels=16, layers=6), **SMALL_PIXELS),
        gpu=Recipe(build=lambda data: GatedPixelCNN(data.event_shape, channels=32, layers=8), **LARGE_PIXELS),
    ),
    "row-lstm": Case(
        about="Row LSTM",
        dataset="mnist",
        pixels="fixed",
        evaluation=Exact(),
        cpu=Recipe(build=lambda data: RowLSTM(data.event_shape, channels=32, layers=4), **SMALL_PIXELS),
        gpu=Recipe(build=lambda data: RowLSTM(data.event_shape, channels=64, layers=7), **LARGE_PIXELS),
    ),
    "diagonal-bilstm": Case(
        about="Diagonal BiLSTM",
        dataset="mnist",
        pixels="fixed",
        evaluation=Exact(),
        cpu=Recipe(build=lambda data: DiagonalBiLSTM(data.event_shape, channels=30, layers=4), **SMALL_PIXELS),
        gpu=Recipe(build=lambda data: DiagonalBiLSTM(data.event_shape, channels=32, layers=7), **LARGE_PIXELS),
    ),
    "multi-scale-pixelrnn": Case(
        about="multi-scale PixelRNN",
        dataset="mnist",
        pixels="fixed",
        evaluation=Exact(),
        cpu=Recipe(build=lambda data: multi_scale(data, channels=20, layers=3), **SMALL_PIXELS),
        gpu=Recipe(build=lambda data: multi_scale(data, channels=32, layers=5), **LARGE_PIXELS),
    ),
    "pixelcnn++": Case(
        about="PixelCNN++",
        dataset="fashion-mnist",
        pixels="grey",
        evaluation=Exact(images_at_a_time=250),
        cpu=Recipe(build=lambda data: pixelcnn_pp(data, channels=16, blocks=1, components=5), **SMALL_PIXELS),
        gpu=Recipe(build=lambda data: pixelcnn_pp(data, channels=64, blocks=3, components=10), **LARGE_PIXELS),
    ),
    # -- explicit, tractable: dequantised images -----------------------------------------------------------------------
    "gaussian": Case(
        about="one Gaussian, full covariance",
        dataset="fashion-mnist",
        pixels="dequantised",
        evaluation=Exact(),
        cpu=ClosedForm(build=lambda data: Gaussian(data.event_shape), fit=fit_plain),
        gpu=ClosedForm(build=lambda data: Gaussian(data.event_shape), fit=fit_plain),
    ),
    "class-gaussian": Case(
        about="a Gaussian a class, full covariances",
        dataset="digits",
        pixels="dequantised",
        evaluation=Exact(),
        cpu=ClosedForm(
            build=lambda data: ClassConditionalGaussian(data.event_shape, n_classes=data.n_classes, min_variance=1e-2),
            fit=fit_labelled,
        ),
        gpu=ClosedForm(
            build=lambda data: ClassConditionalGaussian(data.event_shape, n_classes=data.n_classes, min_variance=1e-2),
            fit=fit_labelled,
        ),
    ),
    "gaussian-mixture": Case(
        about="10 Gaussians by EM, full covariances",
        dataset="digits",
        pixels="dequantised",
        evaluation=Exact(),
        cpu=ClosedForm(
            build=lambda data: GaussianMixture(data.event_shape, n_components=10, min_variance=1e-2), fit=fit_drawn
        ),
        gpu=ClosedForm(
            build=lambda data: GaussianMixture(data.event_shape, n_components=10, min_variance=1e-2), fit=fit_drawn
        ),
    ),
    "variational-mixture": Case(
        about="at most 20 Gaussians by variational Bayes",
        dataset="digits",
        pixels="dequantised",
        evaluation=Exact(),
        cpu=ClosedForm(
            build=lambda data: VariationalGaussianMixture(data.event_shape, n_components=20, min_variance=1e-2),
            fit=fit_drawn,
        ),
        gpu=ClosedForm(
            build=lambda data: VariationalGaussianMixture(data.event_shape, n_components=20, min_variance=1e-2),
            fit=fit_drawn,
        ),
    ),
    "nice": Case(
        about="NICE",
        dataset="fashion-mnist",
        pixels="dequantised",
        evaluation=Exact(),
        cpu=Recipe(build=lambda data: NICE(data.event_shape, hidden=(512,) * 3), **SMALL_FLOWS),
        gpu=Recipe(build=lambda data: NICE(data.event_shape, hidden=(1000,) * 5), **LARGE_FLOWS),
    ),
    "realnvp": Case(
        about="RealNVP",
        dataset="fashion-mnist",
        pixels="dequantised",
        evaluation=Exact(),
        cpu=Recipe(build=lambda data: RealNVP(data.event_shape, hidden=(32, 32), couplings=2), **SMALL_FLOWS),
        gpu=Recipe(build=lambda data: RealNVP(data.event_shape, hidden=(64,) * 5, couplings=3), **LARGE_FLOWS),
    ),
    "glow": Case(
        about="Glow",
        dataset="fashion-mnist",
        pixels="dequantised",
        evaluation=Exact(),
        cpu=Recipe(build=lambda data: Glow(data.event_shape, hidden=(32, 32), steps=4), **SMALL_FLOWS),
        gpu=Recipe(build=lambda data: Glow(data.event_shape, hidden=(256, 256), steps=32), **LARGE_FLOWS),
    ),
    "maf": Case(
        about="MAF",
        dataset="fashion-mnist",
        pixels="dequantised",
        evaluation=Exact(),
        cpu=Recipe(build=lambda data: MAF(data.event_shape, layers=5, hidden=(512,)), **SMALL_FLOWS),
        gpu=Recipe(build=lambda data: MAF(data.event_shape, layers=10, hidden=(1024, 1024)), **LARGE_FLOWS),
    ),
    # -- explicit, approximate -----------------------------------------------------------------------------------------
    "vae": Case(
        about="VAE, convolutional",
        dataset="mnist",
        pixels="dynamic",
        evaluation=ImportanceWeighted(k=5000),
        cpu=Recipe(build=vae, **SMALL_BOUNDS),
        gpu=Recipe(build=lambda data: vae(data, latent=50, channels=64), **LARGE_BOUNDS),
    ),
    "iwae": Case(
        about="IWAE, convolutional, 5 draws",
        dataset="mnist",
        pixels="dynamic",
        evaluation=ImportanceWeighted(k=5000),
        cpu=Recipe(build=lambda data: IWAE(vae(data), importance_samples=5), **(SMALL_BOUNDS | {"steps": 5_000})),
        gpu=Recipe(
            build=lambda data: IWAE(vae(data, latent=50, channels=64), importance_samples=5),
            **LARGE_BOUNDS,
        ),
    ),
    "iaf-vae": Case(
        about="VAE, convolutional, with an inverse autoregressive flow",
        dataset="mnist",
        pixels="dynamic",
        evaluation=ImportanceWeighted(k=5000),
        cpu=Recipe(build=iaf_vae, **(SMALL_BOUNDS | {"steps": 10_000})),
        gpu=Recipe(build=lambda data: iaf_vae(data, latent=50, channels=64, steps=4), **LARGE_BOUNDS),
    ),
    "rbm": Case(
        about="RBM, 500 units",
        dataset="mnist",
        pixels="fixed",
        evaluation=AnnealedImportance(),
        cpu=Recipe(
            build=lambda data: RBM(data.event_shape, n_hidden=500),
            steps=60_000,
            ema=0.999,
            looks=15,
            prepare=start_from_rates,
            make_step=persistent_chains,
        ),
        gpu=Recipe(
            build=lambda data: RBM(data.event_shape, n_hidden=500),
            steps=200_000,
            n_sweeps=25,
            ema=0.999,
            looks=20,
            prepare=start_from_rates,
            make_step=persistent_chains,
        ),
    ),
    "dbm": Case(
        about="deep Boltzmann machine, 500 and 1000 units",
        dataset="mnist",
        pixels="fixed",
        evaluation=AnnealedImportance(n_chains=200),
        cpu=Recipe(
            build=lambda data: DeepBoltzmannMachine(data.event_shape, n_hidden=(500, 500)),
            steps=20_000,
            ema=0.999,
            looks=10,
            prepare=start_from_rates,
            make_step=persistent_chains,
        ),
        gpu=Recipe(
            build=lambda data: DeepBoltzmannMachine(data.event_shape, n_hidden=(500, 1000)),
            steps=200_000,
            n_sweeps=5,
            ema=0.999,
            looks=20,
            prepare=start_from_rates,
            make_step=persistent_chains,
        ),
    ),
}
