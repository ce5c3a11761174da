"""Who is measured in `core`: ours and a peer's model of one architecture, on the same batch, by the same optimiser.

Matched by hand: the same widths, depths and activations, dimensions, batch and AdamW in its one-kernel form.  What is
left of a difference (our flows begin with a learned scale and shift an element) shows in the parameter counts, which
are printed and may differ by 1 % at most.  Games have the very same players on both sides: the loop is what differs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generative_core.adversarial.dcgan import DCGAN
from generative_core.adversarial.hinge_gan import HingeGAN
from generative_core.adversarial.wgan_gp import WGANGP
from generative_core.autoregressive.conditionals import Bernoulli
from generative_core.autoregressive.gated_pixelcnn import GatedPixelCNN
from generative_core.autoregressive.pixel_model import AbstractPixelModel
from generative_core.autoregressive.pixelcnn import PixelCNN
from generative_core.families import AbstractGAN
from generative_core.flows.maf import MAF
from generative_core.flows.real_nvp import RealNVP
from generative_core.training.adversarial import AdversarialStep
from generative_core.training.steps import MaximumLikelihoodStep
from generative_core.variational.vae import VAE

LR = 1e-3
N_LAYERS = 5  # of the autoregressive flows
N_COUPLINGS = 8
GAME_LR, GAME_BETAS = 2e-4, (0.5, 0.999)
LATENT = 32


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of everything that is measured."""

    batch: int = 256
    features: int = 64
    """Of the vectors that the flows see."""
    hidden: int = 256
    """Width of every hidden layer."""
    side: int = 28
    """Of the images."""
    channels: tuple[int, ...] = (64, 32)
    """Of the convolutions of a game's players, the widest first."""
    images: int = 16
    """Drawn in one call of a sampler."""


@dataclass(frozen=True)
class Contender:
    """Something to call again and again."""

    step: Callable[[], object]
    n_parameters: int
    per_call: int = 1
    """Updates, or images, that a call makes."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two ways to do the same."""

    label: str
    unit: Literal["updates/s", "images/s", "rounds/s"] = "updates/s"
    """A round of a game is an update of the critic and one of the generator."""
    ours: Callable[[Sizes], Contender]
    peer: Callable[[Sizes], Contender]
    package: str | None = None
    """Of the peer; None where the peer is our own plain way."""
    turns: int | None = None
    """At most so many: for calls of half a minute, beside which the noise of a turn is small."""


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def train_ours(model: Any, x: Tensor) -> Contender:
    """`MaximumLikelihoodStep`, as users run it."""
    step = MaximumLikelihoodStep(model, lr=LR)
    return Contender(lambda: step(x), count(model))


def train_peer(model: nn.Module, loss: Callable[[], Tensor]) -> Contender:
    """The plainest loop: loss, backward, the optimiser that ours has."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=LR, weight_decay=0.0, fused=True)
    model.train()

    def step() -> None:
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()

    return Contender(step, count(model))


def vectors(sizes: Sizes) -> Tensor:
    return torch.randn(sizes.batch, sizes.features, generator=torch.Generator().manual_seed(0))


def bits(sizes: Sizes) -> Tensor:
    shape = (sizes.batch, 1, sizes.side, sizes.side)
    return torch.bernoulli(torch.full(shape, 0.2), generator=torch.Generator().manual_seed(0))


def our_vae(sizes: Sizes) -> Contender:
    x = bits(sizes)
    model = VAE(x.shape[1:], latent=LATENT, hidden=(sizes.hidden,), activation=nn.ReLU, likelihood=Bernoulli())
    return train_ours(model, x)


def pythae_vae(sizes: Sizes) -> Contender:
    """With networks of ours, since pythae's own are 512 wide; it wants two heads where ours has one twice as wide."""
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE as PythaeVAE
    from pythae.models import VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    x = bits(sizes)
    n_dims = x[0].numel()

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Flatten(), nn.Linear(n_dims, sizes.hidden), nn.ReLU())
            self.mean = nn.Linear(sizes.hidden, LATENT)
            self.log_var = nn.Linear(sizes.hidden, LATENT)

        def forward(self, x: Tensor) -> ModelOutput:
            h = self.net(x)
            return ModelOutput(embedding=self.mean(h), log_covariance=self.log_var(h))

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(
                nn.Linear(LATENT, sizes.hidden), nn.ReLU(), nn.Linear(sizes.hidden, n_dims), nn.Sigmoid()
            )

        def forward(self, z: Tensor) -> ModelOutput:
            return ModelOutput(reconstruction=self.net(z).unflatten(1, x.shape[1:]))

    config = VAEConfig(input_dim=tuple(x.shape[1:]), latent_dim=LATENT, reconstruction_loss="bce")
    model = PythaeVAE(config, encoder=Encoder(), decoder=Decoder())
    inputs = BaseDataset(x, torch.zeros(len(x)))[:]
    return train_peer(model, lambda: model(inputs).loss)


def our_maf(sizes: Sizes) -> Contender:
    return train_ours(MAF((sizes.features,), layers=N_LAYERS, hidden=(sizes.hidden,) * 2), vectors(sizes))


def zuko_maf(sizes: Sizes) -> Contender:
    import zuko

    x = vectors(sizes)
    model = zuko.flows.MAF(sizes.features, transforms=N_LAYERS, hidden_features=(sizes.hidden,) * 2)
    return train_peer(model, lambda: -model().log_prob(x).mean())


def normflows_maf(sizes: Sizes) -> Contender:
    """`Reverse`, since by itself its density takes a pass an element; a block is one more masked layer."""
    import normflows

    x = vectors(sizes)
    layers: list[nn.Module] = []
    for _ in range(N_LAYERS):
        layer = normflows.flows.MaskedAffineAutoregressive(
            sizes.features, sizes.hidden, num_blocks=1, use_residual_blocks=False
        )
        layers += [normflows.flows.Reverse(layer), normflows.flows.Permute(sizes.features, mode="swap")]
    model = normflows.NormalizingFlow(normflows.distributions.DiagGaussian(sizes.features, trainable=False), layers)
    return train_peer(model, lambda: model.forward_kld(x))


def our_real_nvp(sizes: Sizes) -> Contender:
    model = RealNVP((sizes.features,), couplings=N_COUPLINGS, hidden=(sizes.hidden,) * 2)
    return train_ours(model, vectors(sizes))


def zuko_real_nvp(sizes: Sizes) -> Contender:
    """Its NICE has affine couplings."""
    import zuko

    x = vectors(sizes)
    model = zuko.flows.NICE(sizes.features, transforms=N_COUPLINGS, hidden_features=(sizes.hidden,) * 2)
    return train_peer(model, lambda: -model().log_prob(x).mean())


def normflows_real_nvp(sizes: Sizes) -> Contender:
    import normflows

    x = vectors(sizes)
    half = sizes.features // 2
    layers: list[nn.Module] = []
    for _ in range(N_COUPLINGS):
        net = normflows.nets.MLP([half, sizes.hidden, sizes.hidden, sizes.features], init_zeros=True)
        layers += [normflows.flows.AffineCouplingBlock(net), normflows.flows.Permute(sizes.features, mode="swap")]
    model = normflows.NormalizingFlow(normflows.distributions.DiagGaussian(sizes.features, trainable=False), layers)
    return train_peer(model, lambda: model.forward_kld(x))


def draw(model: AbstractPixelModel, sizes: Sizes, *, cached: bool) -> Contender:
    """Whole images, a pixel after another."""
    model.eval()
    generator = torch.Generator().manual_seed(0)
    return Contender(
        lambda: model.sample(sizes.images, generator=generator, cached=cached), count(model), per_call=sizes.images
    )


def game(kind: Callable[..., AbstractGAN], sizes: Sizes) -> tuple[AbstractGAN, Tensor]:
    """A game on grey images, and a batch of them."""
    x = 2 * bits(sizes) - 1
    return kind(x.shape[1:], channels=sizes.channels), x


def our_game(kind: Callable[..., AbstractGAN], sizes: Sizes) -> Contender:
    """`AdversarialStep`, one update of each player."""
    model, x = game(kind, sizes)
    step = AdversarialStep(model, lr=GAME_LR, betas=GAME_BETAS)
    return Contender(lambda: step(x), count(model))


def plain_game(
    kind: Callable[..., AbstractGAN],
    critic_loss: Callable[[Any, Tensor, Tensor], Tensor],
    generator_loss: Callable[[Tensor], Tensor],
    sizes: Sizes,
) -> Contender:
    """The same players in a loop by hand: one drawing for both, and no gradients of the critic for the generator."""
    model, x = game(kind, sizes)
    critic: Any = model.critic
    generator: Any = model.generator
    settings: dict[str, Any] = {"lr": GAME_LR, "betas": GAME_BETAS, "weight_decay": 0.0, "fused": True}
    critic_optimiser = torch.optim.AdamW(critic.parameters(), **settings)
    generator_optimiser = torch.optim.AdamW(generator.parameters(), **settings)
    model.train()

    def step() -> None:
        drawn = generator(torch.randn(len(x), generator.latent_features))
        critic_optimiser.zero_grad()
        critic_loss(critic.logit, x, drawn.detach()).backward()
        critic_optimiser.step()
        critic.requires_grad_(False)
        generator_optimiser.zero_grad()
        generator_loss(critic.logit(drawn)).backward()
        generator_optimiser.step()
        critic.requires_grad_(True)

    return Contender(step, count(model))


def plain_dcgan(sizes: Sizes) -> Contender:
    """Cross-entropy against ones and zeros."""

    def entropy(logit: Tensor, target: float) -> Tensor:
        return F.binary_cross_entropy_with_logits(logit, torch.full_like(logit, target))

    def critic_loss(logit: Any, x: Tensor, drawn: Tensor) -> Tensor:
        return entropy(logit(x), 1.0) + entropy(logit(drawn), 0.0)

    return plain_game(DCGAN, critic_loss, lambda logit: entropy(logit, 1.0), sizes)


def plain_wgan_gp(sizes: Sizes) -> Contender:
    def critic_loss(logit: Any, x: Tensor, drawn: Tensor) -> Tensor:
        share = torch.rand(len(x), 1, 1, 1)
        mix = (share * x + (1 - share) * drawn).requires_grad_(True)
        (slope,) = torch.autograd.grad(logit(mix).sum(), mix, create_graph=True)
        penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
        return logit(drawn).mean() - logit(x).mean() + 10 * penalty

    return plain_game(WGANGP, critic_loss, lambda logit: -logit.mean(), sizes)


def plain_hinge(sizes: Sizes) -> Contender:
    def critic_loss(logit: Any, x: Tensor, drawn: Tensor) -> Tensor:
        return F.relu(1 - logit(x)).mean() + F.relu(1 + logit(drawn)).mean()

    return plain_game(HingeGAN, critic_loss, lambda logit: -logit.mean(), sizes)


def pixelcnn(sizes: Sizes, *, cached: bool) -> Contender:
    return draw(PixelCNN((1, sizes.side, sizes.side), channels=32, layers=7), sizes, cached=cached)


def gated_pixelcnn(sizes: Sizes, *, cached: bool) -> Contender:
    return draw(GatedPixelCNN((1, sizes.side, sizes.side), channels=16, layers=6), sizes, cached=cached)


PAIRS: dict[str, Pair] = {
    "vae-pythae": Pair(label="VAE, pythae", ours=our_vae, peer=pythae_vae, package="pythae"),
    "maf-zuko": Pair(label="MAF, zuko", ours=our_maf, peer=zuko_maf, package="zuko"),
    "maf-normflows": Pair(label="MAF, normflows", ours=our_maf, peer=normflows_maf, package="normflows"),
    "realnvp-zuko": Pair(label="RealNVP, zuko", ours=our_real_nvp, peer=zuko_real_nvp, package="zuko"),
    "realnvp-normflows": Pair(
        label="RealNVP, normflows", ours=our_real_nvp, peer=normflows_real_nvp, package="normflows"
    ),
    "dcgan-loop": Pair(
        label="DCGAN, a loop by hand",
        unit="rounds/s",
        ours=lambda sizes: our_game(DCGAN, sizes),
        peer=plain_dcgan,
    ),
    "wgan-gp-loop": Pair(
        label="WGAN-GP (one critic update), by hand",
        unit="rounds/s",
        ours=lambda sizes: our_game(WGANGP, sizes),
        peer=plain_wgan_gp,
    ),
    "hinge-gan-loop": Pair(
        label="hinge GAN, by hand",
        unit="rounds/s",
        ours=lambda sizes: our_game(HingeGAN, sizes),
        peer=plain_hinge,
    ),
    "pixelcnn-sampling": Pair(
        label="PixelCNN, sampling without a cache",
        unit="images/s",
        turns=2,
        ours=lambda sizes: pixelcnn(sizes, cached=True),
        peer=lambda sizes: pixelcnn(sizes, cached=False),
    ),
    "gated-pixelcnn-sampling": Pair(
        label="Gated PixelCNN, sampling without a cache",
        unit="images/s",
        turns=2,
        ours=lambda sizes: gated_pixelcnn(sizes, cached=True),
        peer=lambda sizes: gated_pixelcnn(sizes, cached=False),
    ),
}
