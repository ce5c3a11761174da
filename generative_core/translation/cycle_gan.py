"""Translation without pairs: there and back again must be the identity."""

from collections.abc import Sequence
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generative_core import objectives
from generative_core.adversarial.networks import start_small
from generative_core.families import Drawn, Terms
from generative_core.nets.patch import PatchNet
from generative_core.nets.resnet import ResNetTranslator, check_halvings
from generative_core.translation.image_buffer import ImageBuffer
from generative_core.translation.translator import require_weights
from generative_core.translation.unpaired import AbstractUnpairedTranslator


@final
class CycleGAN(AbstractUnpairedTranslator):
    """Two least-squares games, D_Y against G: X -> Y and D_X against F: Y -> X, bound together by

        cycle ( E ||F(G(x)) - x||_1 + E ||G(F(y)) - y||_1 ) + identity ( E ||G(y) - y||_1 + E ||F(x) - x||_1 ),

    each norm the mean over the elements.  Generators are residual networks that end in tanh, critics judge patches, and
    each critic sees a history of `history` translations beside the newest (`ImageBuffer`).  A batch is (x, y), images
    in [-1, 1] without pairs.  The identity term is there where both domains have one shape; the paper takes half of
    `cycle` for it where colours shall stay, and 0 otherwise.  `channels` and `blocks` are the generators', sides
    divisible by 2^(len(channels) - 1); `critic_channels` are `PatchNet`'s.

    Train with `AdversarialStep`'s defaults and a step size that goes to zero in the second half.  Raises ValueError on
    an identity term between domains of different shapes, on negative weights and on sides that do not fit the channels.

    Paper: Zhu et al. 2017, https://arxiv.org/abs/1703.10593, eq. 1-3 and sec. 4, 5.2 (identity).  Differs: logits are
    regressed to +1 and -1 instead of 1 and 0, and the generators' share of that is halved, which is the same balance.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        source_shape: Sequence[int] | None = None,
        cycle: float = 10.0,
        identity: float = 0.0,
        history: int = 50,
        channels: Sequence[int] = (64, 128, 256),
        blocks: int = 6,
        critic_channels: Sequence[int] = (64, 128, 256, 512),
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.source_shape = tuple(source_shape) if source_shape is not None else self.event_shape
        if identity > 0 and self.source_shape != self.event_shape:
            raise ValueError(
                f"the identity term needs domains of one shape, got {self.source_shape} and {self.event_shape}; "
                "give identity=0, or both domains the same channels"
            )
        if self.source_shape[1:] != self.event_shape[1:]:
            raise ValueError(f"both domains need the same sides, got {self.source_shape} and {self.event_shape}")
        require_weights(cycle=cycle, identity=identity)
        check_halvings(self.event_shape[1:], len(channels) - 1)
        self.cycle = cycle
        self.identity = identity
        n_x, n_y = self.source_shape[0], self.event_shape[0]
        self.generator = nn.ModuleDict(
            {
                "to_y": nn.Sequential(ResNetTranslator(n_x, n_y, channels=channels, blocks=blocks), nn.Tanh()),
                "to_x": nn.Sequential(ResNetTranslator(n_y, n_x, channels=channels, blocks=blocks), nn.Tanh()),
            }
        )
        critic_y, critic_x = (PatchNet(n, channels=critic_channels, norm=nn.InstanceNorm2d) for n in (n_y, n_x))
        critic_y.check_sides(self.event_shape[1:])
        self.critic = nn.ModuleDict({"y": critic_y, "x": critic_x})
        self.history = nn.ModuleDict(
            {"y": ImageBuffer(self.event_shape, size=history), "x": ImageBuffer(self.source_shape, size=history)}
        )
        self.apply(start_small)

    def critic_terms(self, drawn: Drawn, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """Least squares of each critic, against translations out of its history, which this call moves on."""
        real = dict(zip(("x", "y"), batch, strict=True))
        made_y, made_x = drawn
        terms = {}
        for domain, made in (("y", made_y), ("x", made_x)):
            old = self.history[domain](made, generator=generator)
            logits = self._logits(domain, real[domain]), self._logits(domain, old)
            terms[f"adversarial_{domain}"] = objectives.least_squares_critic_loss(*logits)
        return terms

    def generator_terms(self, drawn: Drawn, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """Least squares against both critics, the cycles and the identities."""
        x, y = batch
        made_y, made_x = drawn
        terms = {
            "adversarial_y": 0.5 * objectives.least_squares_generator_loss(self._logits("y", made_y)),
            "adversarial_x": 0.5 * objectives.least_squares_generator_loss(self._logits("x", made_x)),
        }
        if self.cycle > 0:
            terms["cycle_x"] = self.cycle * F.l1_loss(self.translate_back(made_y), x)
            terms["cycle_y"] = self.cycle * F.l1_loss(self.translate(made_x), y)
        if self.identity > 0:
            terms["identity_y"] = self.identity * F.l1_loss(self.translate(y), y)
            terms["identity_x"] = self.identity * F.l1_loss(self.translate_back(x), x)
        return terms

    def _logits(self, domain: str, images: Tensor) -> Tensor:
        """Of all patches of all images, (B h w,)."""
        return self.critic[domain](images).flatten()
