"""A frontal face from a profile: one path for the whole face, one for each of its marks, and losses that know faces."""

from collections.abc import Sequence
from typing import NamedTuple, final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from generative_core import objectives
from generative_core.adversarial.networks import ConvCritic, leaky_relu
from generative_core.families import Drawn, Terms
from generative_core.nets.conv import ConvDecoder, ConvEncoder
from generative_core.nets.crop import crop, paste, peaks
from generative_core.nets.frozen import Frozen
from generative_core.nets.unet import UNet
from generative_core.translation.perceptual import total_variation
from generative_core.translation.translator import AbstractTranslator, require_weights


class Frontal(NamedTuple):
    """A face, and what the local paths make by themselves."""

    face: Tensor
    """(B, C, H, W) in [-1, 1]."""
    patches: Tensor
    """(B, L, C, side, side) in [-1, 1], where they belong in the face."""


@final
class TPGAN(AbstractTranslator):
    """x' = G(s): features of the whole profile and of patches about its L landmarks, fused into a frontal face.

        E |x' - x| + local E |patches' - patches| + symmetry E |x' - mirror(x')| - adversarial E log D(x')
        + identity E (Phi(x') - Phi(x))^2 + smoothness TV(x'),          D: E log D(x) + E log(1 - D(x'))

    means over elements, with Phi a fixed network that knows who it sees and TV the mean absolute difference of
    neighbours.  A batch is (frontal, source): faces (B, C, H, W) in [-1, 1], sources (B, C + L, H, W), the profile with
    L maps behind it whose peaks are its landmarks.  `template` has the row and column of each landmark in a frontal
    face: that is where the features of the patch about it go, the greatest where two overlap.  An empty template
    leaves the global path alone.  `identity_network` maps (B, C, H, W) to features (B, ...); a copy of it is kept,
    frozen and in evaluation mode, and saved with the model.  With `adversarial=0` the critic rests.  Nothing is random.
    Train with `AdversarialStep`'s defaults.

    Raises ValueError for negative weights, patches that do not fit and, when called, on sources of another shape.

    Paper: Huang et al. 2017, https://arxiv.org/abs/1704.04086, sec. 3.  Differs: a smaller global path without skips;
    no classification of the code; the pixel loss at one scale, where the paper has several; the squared distance of one
    layer of identity features, where the paper has the absolute one of two; weights for means over elements.
    """

    generator: "_TwoPaths"
    critic: ConvCritic

    def __init__(
        self,
        event_shape: Sequence[int],
        identity_network: nn.Module,
        *,
        template: Sequence[tuple[int, int]] = (),
        patch_side: int = 12,
        code: int = 128,
        channels: Sequence[int] = (32, 64, 128),
        local: float = 1.0,
        symmetry: float = 0.3,
        adversarial: float = 0.01,
        identity: float = 0.1,
        smoothness: float = 1e-3,
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.source_shape = (self.event_shape[0] + len(template), *self.event_shape[1:])
        require_weights(
            local=local, symmetry=symmetry, adversarial=adversarial, identity=identity, smoothness=smoothness
        )
        if template:
            _check_patches(patch_side, self.event_shape[1:], n_halvings=len(channels[:2]))
        self.local, self.symmetry, self.adversarial = local, symmetry, adversarial
        self.identity, self.smoothness = identity, smoothness
        self.generator = _TwoPaths(self.event_shape, template, patch_side, code, channels)
        self.critic = ConvCritic(self.event_shape, channels=channels, norm=nn.BatchNorm2d)
        self.identity_network = Frozen(identity_network)

    def translate(
        self, source: Float[Tensor, "B S H W"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "B C H W"]:
        """The frontal face, in [-1, 1]; nothing is drawn from `generator`."""
        self.check_source(source)
        return self.generator(source).face

    def draw(self, *batch: Tensor, generator: torch.Generator | None = None) -> Frontal:
        """The frontal face of each source, and its patches."""
        _, source = batch
        self.check_source(source)
        return self.generator(source)

    def critic_terms(self, drawn: Drawn, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """Cross-entropy over faces."""
        if self.adversarial == 0:
            return {}
        frontal, _ = batch
        face, _ = drawn
        return {"adversarial": objectives.bce_critic_loss(self.critic.logit(frontal), self.critic.logit(face))}

    def generator_terms(self, drawn: Drawn, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """The terms of the equation whose weight is not zero."""
        frontal, _ = batch
        face, patches = drawn
        terms = {"l1": (face - frontal).abs().mean()}
        if self.symmetry > 0:
            terms["symmetry"] = self.symmetry * asymmetry(face)
        if self.adversarial > 0:
            terms["adversarial"] = self.adversarial * objectives.bce_generator_loss(self.critic.logit(face))
        if self.identity > 0:
            features, features_data = (self.identity_network(x) for x in (face, frontal))
            terms["identity"] = self.identity * (features - features_data).square().mean()
        if self.smoothness > 0:
            terms["smoothness"] = self.smoothness * total_variation(face).mean()
        if self.local > 0 and patches.shape[1] > 0:
            terms["local"] = self.local * (patches - self.generator.frontal_patches(frontal)).abs().mean()
        return terms


def _check_patches(side: int, sides: Sequence[int], *, n_halvings: int) -> None:
    if not 2**n_halvings <= side <= min(sides):
        raise ValueError(
            f"patch_side lies between {2**n_halvings}, for {n_halvings} halvings in a local path, and the sides of a "
            f"face, {tuple(sides)}; got {side}"
        )


class _TwoPaths(nn.Module):
    """(B, C + L, H, W) -> `Frontal`."""

    template: Tensor

    def __init__(
        self,
        event_shape: Sequence[int],
        template: Sequence[tuple[int, int]],
        patch_side: int,
        code: int,
        channels: Sequence[int],
    ) -> None:
        super().__init__()
        self.n_channels, self.patch_side, width = event_shape[0], patch_side, channels[0]
        self.register_buffer("template", torch.tensor(template, dtype=torch.long).view(len(template), 2))
        self.whole = nn.Sequential(
            ConvEncoder(event_shape, code, channels=channels, activation=leaky_relu, norm=nn.BatchNorm2d),
            ConvDecoder(code, (width, *event_shape[1:]), channels=tuple(channels)[::-1], norm=nn.BatchNorm2d),
            nn.ReLU(),
        )
        self.parts = nn.ModuleList(UNet(self.n_channels, width, channels=channels[:2], norm=None) for _ in template)
        self.part_images = nn.ModuleList(nn.Conv2d(width, self.n_channels, 1) for _ in template)
        n_fused = 2 * width if template else width
        self.fuse = nn.Sequential(
            nn.Conv2d(n_fused, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, self.n_channels, 3, padding=1),
            nn.Tanh(),
        )

    def forward(self, source: Tensor) -> Frontal:
        profile, maps = source[:, : self.n_channels], source[:, self.n_channels :]
        features = [self.whole(profile)]
        patches = []
        placed = []
        for k, (part, to_image) in enumerate(zip(self.parts, self.part_images, strict=True)):
            found = F.relu(part(crop(profile, peaks(maps)[:, k], self.patch_side)))
            patches.append(to_image(found).tanh())
            canvas = torch.zeros_like(features[0])
            placed.append(paste(canvas, found, self.template[k].expand(len(source), 2)))
        if placed:
            features.append(torch.stack(placed).amax(0))
        side = self.patch_side
        none = profile.new_zeros(len(source), 0, self.n_channels, side, side)
        face = self.fuse(torch.cat(features, dim=1))
        return Frontal(face, torch.stack(patches, dim=1) if patches else none)

    def frontal_patches(self, frontal: Tensor) -> Tensor:
        """(B, L, C, side, side): the true patches, at the places of the template."""
        places = (place.expand(len(frontal), 2) for place in self.template)
        return torch.stack([crop(frontal, place, self.patch_side) for place in places], dim=1)


def asymmetry(x: Float[Tensor, "B C H W"]) -> Float[Tensor, ""]:
    """E |x - mirror(x)|, a mean over pixels (Huang et al. 2017, symmetry loss)."""
    return (x - x.flip(3)).abs().mean()
