"""A tiny instance of every game of two players, by name, and a batch of each.  A new game adds one entry."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generative_core import (
    DCGAN,
    DRAGAN,
    DTN,
    GAN,
    GAN3D,
    PG2,
    SRGAN,
    TPGAN,
    VAEGAN,
    VAEGAN3D,
    WGANGP,
    AbstractTwoPlayer,
    AlphaGAN,
    AttributeGAN,
    ConditionalGAN,
    ContextEncoder,
    CycleGAN,
    DiscoGAN,
    EverybodyDanceNow,
    HingeGAN,
    ImprovedGAN,
    MarkovianGAN,
    MidiNet,
    PerceptualGAN,
    Pix2Pix,
    Pix2PixHD,
    PixelDTGAN,
    SemiSupervisedGAN,
    StackGAN,
    objectives,
)
from generative_core.adversarial.midinet import bar_context
from tests.zoo import CONTEXT, IMAGE, VECTOR


@dataclass(frozen=True)
class GameCase:
    """A tiny game of two players, and what its batches hold."""

    make: Callable[[], AbstractTwoPlayer]
    batch: Callable[[AbstractTwoPlayer, int, torch.Generator], tuple[Tensor, ...]] = lambda game, n, generator: (
        torch.randn(n, *game.event_shape, generator=generator).clamp(-1, 1),
    )
    """(game, rows, generator) -> one batch."""
    context_at: int | None = None
    """Which part of a batch `sample` takes as its context."""
    context: Callable[[tuple[Tensor, ...]], Tensor] | None = None
    """Or what it makes of a batch."""

    def contexts(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What `sample` takes beside the number of draws."""
        if self.context is not None:
            return (self.context(batch),)
        return () if self.context_at is None else (batch[self.context_at],)


def labelled(game: AbstractTwoPlayer, n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """(images, one-hot classes)."""
    x = torch.randn(n, *game.event_shape, generator=generator).clamp(-1, 1)
    return x, F.one_hot(torch.randint(CONTEXT, (n,), generator=generator), CONTEXT).float()


def bars(game: AbstractTwoPlayer, n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """(one-hot pitches over time, the bar before beside a one-hot chord)."""
    n_pitches, n_steps = game.event_shape
    pitches = torch.randint(n_pitches, (2, n, n_steps), generator=generator)
    x, before = F.one_hot(pitches, n_pitches).mT.float()
    chord = F.one_hot(torch.randint(CONTEXT, (n,), generator=generator), CONTEXT).float()
    return x, bar_context(before, chord)


def partly_labelled(game: AbstractTwoPlayer, n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """(images, as many others, their classes)."""
    x, x_labelled = torch.randn(2, n, *game.event_shape, generator=generator).clamp(-1, 1)
    return x, x_labelled, torch.randint(CONTEXT, (n,), generator=generator)


def sized(*shapes: tuple[int, ...]) -> Callable[[AbstractTwoPlayer, int, torch.Generator], tuple[Tensor, ...]]:
    """Batches of unrelated noise in [0, 1] of these shapes."""

    def batch(game: AbstractTwoPlayer, n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        return tuple(torch.rand(n, *shape, generator=generator) for shape in shapes)

    return batch


def objects(game: AbstractTwoPlayer, n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """(large, its classes, small, its classes)."""
    large, small = sized((1, 8, 8), (1, 8, 8))(game, n, generator)
    label_large, label_small = torch.randint(2, (2, n), generator=generator)
    return large, label_large, small, label_small


class Halves(nn.Module):
    """A network without parameters: the mean of the left half and of the right."""

    def forward(self, x: Tensor) -> Tensor:
        half = x.shape[3] // 2
        return torch.stack([x[..., :half].mean((1, 2, 3)), x[..., half:].mean((1, 2, 3))], dim=1)


class Pyramid(nn.Module):
    """An image, and it at a half and at a quarter of its size."""

    def forward(self, x: Tensor) -> list[Tensor]:
        return [x, F.avg_pool2d(x, 2), F.avg_pool2d(x, 4)]


# Implicit density: name -> GameCase(factory, batch=..., context_at=...)
TWO_PLAYERS: dict[str, GameCase] = {
    "gan": GameCase(lambda: GAN(VECTOR, latent=2, hidden=(8,))),
    "gan_hinge": GameCase(lambda: GAN(VECTOR, latent=2, hidden=(8,), game=objectives.HINGE, r1=0.1)),
    "dcgan": GameCase(lambda: DCGAN(IMAGE, latent=2, channels=(4, 2))),
    "conditional_gan": GameCase(
        lambda: ConditionalGAN(IMAGE, context_features=CONTEXT, latent=2, channels=(4, 2)), labelled, context_at=1
    ),
    "wgan_gp": GameCase(lambda: WGANGP(IMAGE, latent=2, channels=(4, 2))),
    "hinge_gan": GameCase(lambda: HingeGAN(IMAGE, latent=2, channels=(4, 2))),
    "dragan": GameCase(lambda: DRAGAN(IMAGE, latent=2, channels=(4, 2))),
    "vae_gan": GameCase(lambda: VAEGAN(IMAGE, latent=2, channels=(4, 2))),
    "alpha_gan": GameCase(lambda: AlphaGAN(IMAGE, latent=2, channels=(4, 2), code_hidden=(8,))),
    "gan3d": GameCase(lambda: GAN3D((1, 4, 4, 4), latent=2, channels=(4, 2), gate=1.0)),
    "vae_gan3d": GameCase(
        lambda: VAEGAN3D(
            (1, 4, 4, 4), source_shape=(1, 8, 8), latent=2, channels=(4, 2), image_channels=(2, 4), gate=1.0
        ),
        sized((1, 4, 4, 4), (1, 8, 8)),
    ),
    "attribute_gan": GameCase(
        lambda: AttributeGAN(
            (1, 8, 8), n_attributes=CONTEXT, latent=2, channels=4, blocks=1, critic_channels=(4,), penalty=0.1
        ),
        labelled,
        context_at=1,
    ),
    "midinet": GameCase(lambda: MidiNet((3, 8), chord_features=CONTEXT, latent=2, channels=8), bars, context_at=1),
    "stack_gan": GameCase(
        lambda: StackGAN((1, 4, 4), text_features=CONTEXT, latent=2, conditions=2, channels=(4, 4)),
        labelled,
        context_at=1,
    ),
    "stack_gan_next_stage": GameCase(
        lambda: StackGAN(
            (1, 8, 8),
            text_features=CONTEXT,
            below=StackGAN((1, 4, 4), text_features=CONTEXT, latent=2, conditions=2, channels=(4, 4)),
            conditions=2,
            channels=(4, 4),
            blocks=1,
        ),
        labelled,
        context_at=1,
    ),
    "improved_gan": GameCase(
        lambda: ImprovedGAN(
            IMAGE,
            minibatch_kernels=2,
            historical_averaging=0.1,
            label_smoothing=0.1,
            virtual_batch_norm=4,
            latent=3,
            channels=(4,),
            features=6,
        )
    ),
    "improved_gan_feature_matching": GameCase(
        lambda: ImprovedGAN(IMAGE, feature_matching=True, latent=3, channels=(4,), features=6)
    ),
    "semi_supervised_gan": GameCase(
        lambda: SemiSupervisedGAN(IMAGE, n_classes=CONTEXT, latent=3, channels=(4,), features=6), partly_labelled
    ),
    "pix2pix": GameCase(
        lambda: Pix2Pix((1, 8, 8), source_channels=2, channels=(4, 4, 4), critic_channels=(4,)),
        sized((1, 8, 8), (2, 8, 8)),
        context_at=1,
    ),
    "pix2pix_hd": GameCase(
        lambda: Pix2PixHD((1, 16, 16), source_channels=1, channels=(4, 4), blocks=1, critic_channels=(4,)),
        sized((1, 16, 16), (1, 16, 16)),
        context_at=1,
    ),
    "pixel_dtgan": GameCase(
        lambda: PixelDTGAN((1, 8, 8), source_channels=2, code=4, channels=(4, 4)),
        sized((1, 8, 8), (2, 8, 8)),
        context_at=1,
    ),
    "pg2": GameCase(
        lambda: PG2((1, 8, 8), pose_channels=2, channels=(4, 4), critic_channels=(4,)),
        sized((1, 8, 8), (3, 8, 8), (1, 8, 8)),
        context_at=1,
    ),
    "everybody_dance_now": GameCase(
        lambda: EverybodyDanceNow(
            (1, 16, 16), pose_channels=2, head_map=1, head_side=6, channels=(4, 4), critic_channels=(4,)
        ),
        sized((2, 1, 16, 16), (2, 2, 16, 16)),
        context=lambda batch: torch.cat([batch[1][:, 1], batch[0][:, 0]], dim=1),
    ),
    "tp_gan": GameCase(
        lambda: TPGAN((1, 16, 16), Halves(), template=((4, 4), (8, 10)), patch_side=4, code=4, channels=(4, 4)),
        sized((1, 16, 16), (3, 16, 16)),
        context_at=1,
    ),
    "srgan": GameCase(
        lambda: SRGAN((1, 8, 8), channels=4, blocks=1, critic_channels=(4,), features=Halves(), adversarial=0.1),
        sized((1, 8, 8), (1, 2, 2)),
        context_at=1,
    ),
    "context_encoder": GameCase(
        lambda: ContextEncoder((1, 8, 8), channels=(4, 4), adversarial=0.1),
        sized((1, 8, 8), (2, 8, 8)),
        context_at=1,
    ),
    "cycle_gan": GameCase(
        lambda: CycleGAN((1, 8, 8), channels=(4, 4), blocks=1, critic_channels=(4,), history=5, identity=1.0),
        sized((1, 8, 8), (1, 8, 8)),
        context_at=1,
    ),
    "disco_gan": GameCase(
        lambda: DiscoGAN((1, 8, 8), latent=3, channels=(4, 4)), sized((1, 8, 8), (1, 8, 8)), context_at=1
    ),
    "dtn": GameCase(
        lambda: DTN((1, 8, 8), Halves(), n_features=2, channels=(4, 4)), sized((1, 8, 8), (1, 8, 8)), context_at=0
    ),
    "perceptual_gan": GameCase(
        lambda: PerceptualGAN(
            (3, 4, 4),
            source_shape=(1, 8, 8),
            stem=nn.Conv2d(1, 3, 3, padding=1),
            trunk=nn.AvgPool2d(2),
            stem_channels=3,
            n_classes=2,
            blocks=1,
            hidden=4,
        ),
        objects,
        context_at=2,
    ),
    "markovian_gan": GameCase(
        lambda: MarkovianGAN((1, 8, 8), Pyramid(), channels=(4, 4, 4), critic_channels=4),
        sized((1, 8, 8), (1, 8, 8)),
        context_at=0,
    ),
}
