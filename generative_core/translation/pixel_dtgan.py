"""Image to image across domains: an encoder and a decoder, a critic of images and a critic of pairs."""

from collections.abc import Sequence
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from generative_core import objectives
from generative_core.adversarial.networks import ConvCritic, leaky_relu, start_small
from generative_core.families import Terms
from generative_core.nets.conv import ConvDecoder, ConvEncoder
from generative_core.translation.translator import AbstractTranslator, require_some_weight


@final
class PixelDTGAN(AbstractTranslator):
    """A converter G of sources into targets, told by two critics what is wrong with them.

        D_real:    E log D(x) + E log(1 - D(G(s)))
        D_domain:  E log D(s, x) + 1/2 E log(1 - D(s, x')) + 1/2 E log(1 - D(s, G(s))),   x' another source's target

    The converter maximises `real` E log D_real(G(s)) + `domain` E log D_domain(s, G(s)) - `l2` E (x - G(s))^2, the last
    a mean over pixels.  A batch is (target, source), images in [-1, 1] with the same sides, two or more of them, which
    show different things: x' is drawn from the batch.  A critic of weight zero is trained without being heard; where
    both are zero they rest, and what remains is regression.  Train with `AdversarialStep`'s defaults.

    Raises ValueError for weights that are negative or all zero and, when called, on sources of another shape and on
    batches of one.

    Paper: Yoo et al. 2016, https://arxiv.org/abs/1603.07442, sec. 4.  Differs: the converter's loss is -log D, the
    non-saturating one; the unassociated and the generated pairs share one weight, so that a logit of 0 is undecided;
    the term `l2`, which is the paper's baseline, can be added.
    """

    critic: "_Critics"

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        source_channels: int = 3,
        code: int = 64,
        channels: Sequence[int] = (32, 64),
        real: float = 0.5,
        domain: float = 0.5,
        l2: float = 0.0,
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.source_shape = (source_channels, *self.event_shape[1:])
        require_some_weight(real=real, domain=domain, l2=l2)
        self.real, self.domain, self.l2 = real, domain, l2
        self.generator = nn.Sequential(
            ConvEncoder(self.source_shape, code, channels=channels, activation=leaky_relu, norm=nn.BatchNorm2d),
            nn.LeakyReLU(0.2),
            ConvDecoder(code, self.event_shape, channels=tuple(channels)[::-1], norm=nn.BatchNorm2d),
            nn.Tanh(),
        )
        pair_shape = (source_channels + self.event_shape[0], *self.event_shape[1:])
        self.critic = _Critics(self.event_shape, pair_shape, channels)
        self.apply(start_small)

    def translate(
        self, source: Float[Tensor, "B S H W"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "B C H W"]:
        """G(source) in [-1, 1]; nothing is drawn from `generator`."""
        self.check_source(source)
        return self.generator(source)

    def draw(self, *batch: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A translation of each source."""
        _, source = batch
        return self.translate(source, generator=generator)

    def critic_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """Cross-entropy of both critics; the shift that makes unassociated pairs is drawn from `generator`."""
        if self.real == self.domain == 0:
            return {}
        target, source = batch
        if len(target) < 2:
            raise ValueError("unassociated pairs are made within a batch: give batches of two or more")
        shift = int(torch.randint(1, len(target), (), generator=generator, device=source.device))
        associated, generated = self._pair_logit(source, target), self._pair_logit(source, drawn)
        unassociated = self._pair_logit(source, target.roll(shift, dims=0))
        wrong = (F.softplus(unassociated).mean() + F.softplus(generated).mean()) / 2
        return {
            "real": objectives.bce_critic_loss(self.critic.real.logit(target), self.critic.real.logit(drawn)),
            "domain": F.softplus(-associated).mean() + wrong,
        }

    def generator_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """-log D of both critics and the square error, those whose weight is not zero."""
        target, source = batch
        terms = {}
        if self.real > 0:
            terms["real"] = self.real * objectives.bce_generator_loss(self.critic.real.logit(drawn))
        if self.domain > 0:
            terms["domain"] = self.domain * objectives.bce_generator_loss(self._pair_logit(source, drawn))
        if self.l2 > 0:
            terms["l2"] = self.l2 * (drawn - target).square().mean()
        return terms

    def _pair_logit(self, source: Tensor, x: Tensor) -> Tensor:
        """D_domain's, (B,)."""
        return self.critic.domain.logit(torch.cat([source, x], dim=1))


class _Critics(nn.Module):
    """Of images, and of pairs."""

    def __init__(self, event_shape: Sequence[int], pair_shape: Sequence[int], channels: Sequence[int]) -> None:
        super().__init__()
        self.real = ConvCritic(event_shape, channels=channels, norm=nn.BatchNorm2d)
        self.domain = ConvCritic(pair_shape, channels=channels, norm=nn.BatchNorm2d)
