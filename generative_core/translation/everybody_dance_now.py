"""Video of a person from poses: frame by frame with the frame before in view, and the head once more in detail."""

from collections.abc import Sequence
from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core import objectives
from generative_core.families import Drawn, Terms
from generative_core.nets.crop import crop, paste, peaks
from generative_core.nets.patch import PatchNet, feature_matching
from generative_core.nets.resnet import check_halvings
from generative_core.nets.unet import UNet
from generative_core.translation.pix2pix_hd import CoarseToFine, MultiScaleCritic
from generative_core.translation.translator import AbstractTranslator, require_weights


class TwoFrames(NamedTuple):
    """What is made of two poses in a row."""

    frames: Tensor
    """(B, 2, C, H, W) in [-1, 1], before the head is refined."""
    heads: Tensor
    """(2 B, C, side, side): the heads of all of them, refined; those of the first frames first."""


@final
class EverybodyDanceNow(AbstractTranslator):
    """y_t = G(p_t, y_{t-1}) with y_0 = G(p_0, 0), p_t the pose maps; a critic sees two frames in a row and their poses.

        D:  data (p_{t-1}, p_t, x_{t-1}, x_t) against (p_{t-1}, p_t, G(p_{t-1}, 0), G(p_t, G(p_{t-1}, 0)))
        head:  r = G_f(p_f, y_f),  refined y_f + r,  with a critic of (p_f, head)

    where the index f is a square of side `head_side` about the peak of the pose map `head_map`.  Both games are of
    least squares with feature matching, the first at several scales.  A batch is (frames, maps), two in a row of one
    person's video: frames (B, 2, C, H, W) in [-1, 1] and maps (B, 2, K, H, W).  `event_shape` is that of one frame; a
    source (K + C, H, W) is the maps with the frame before behind them, zeros where there is none.  `generator` takes
    the place of the network from coarse to fine: a module (B, K + C, H, W) -> (B, C, H, W) that ends in [-1, 1].
    Nothing is random.  Train with `AdversarialStep`'s defaults; `animate` makes the video, `normalise_poses` fits the
    poses of another person to this one.

    Raises ValueError for a negative weight, for a head or sides that do not fit and, when called, on sources and maps
    of another shape.

    Paper: Chan et al. 2019, https://arxiv.org/abs/1808.07371.  Differs: both games are played at once, the
    head's on a copy of the frames without gradients; feature matching stands in for the perceptual network there too;
    it is the mean over layers, not their sum; logits are regressed to +1 and -1, which doubles the adversarial terms
    beside it against targets 1 and 0 without the 1/2.
    """

    generator: nn.ModuleDict
    critic: "_Critics"

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        pose_channels: int,
        head_map: int,
        head_side: int,
        channels: Sequence[int] = (64, 128),
        n_scales: int = 2,
        critic_channels: Sequence[int] = (64, 128),
        feature_matching: float = 10.0,
        generator: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        n, k = self.event_shape[0], pose_channels
        self.source_shape = (k + n, *self.event_shape[1:])
        require_weights(feature_matching=feature_matching)
        if not 0 <= head_map < pose_channels:
            raise ValueError(f"head_map is the index of one of the {pose_channels} pose maps, got {head_map}")
        if not 2 ** len(channels) <= head_side <= min(self.event_shape[1:]):
            raise ValueError(
                f"head_side lies between {2 ** len(channels)}, for {len(channels)} halvings, and the sides of a frame, "
                f"{self.event_shape[1:]}; got {head_side}"
            )
        self.head_map, self.head_side = head_map, head_side
        self.feature_matching = feature_matching
        if generator is None:
            check_halvings(self.event_shape[1:], len(channels))
            generator = nn.Sequential(CoarseToFine(k + n, n, channels=channels), nn.Tanh())
        head = UNet(k + n, n, channels=channels)
        for p in head.up[-1].parameters():
            nn.init.zeros_(p)  # the residual begins at nothing: noise about the head is easily told
        self.generator = nn.ModuleDict({"frame": generator, "head": head})
        self.critic = _Critics(k + n, n_scales, critic_channels)
        self.critic.frames.check_sides(self.event_shape[1:])
        self.critic.head.check_sides((head_side, head_side))

    def translate(
        self, source: Float[Tensor, "B S H W"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "B C H W"]:
        """One frame with its head refined, in [-1, 1]; nothing is drawn from `generator`."""
        self.check_source(source)
        maps = source[:, : -self.event_shape[0]]
        frame = self.generator["frame"](source)
        centre = peaks(maps)[:, self.head_map]
        return paste(frame, self._refined_heads(maps, frame), centre).clamp(-1, 1)

    @torch.no_grad()
    def animate(self, maps: Float[Tensor, "T K H W"], *, refine_heads: bool = True) -> Float[Tensor, "T C H W"]:
        """The video of these poses, each frame made with the one before it in view.  Without gradients."""
        self._check_maps(maps)
        frame = maps.new_zeros(1, *self.event_shape)
        frames = []
        for pose in maps.split(1):
            frame = self.generator["frame"](torch.cat([pose, frame], dim=1))
            frames.append(frame)
        video = torch.cat(frames)
        if not refine_heads:
            return video
        return paste(video, self._refined_heads(maps, video), peaks(maps)[:, self.head_map]).clamp(-1, 1)

    def draw(self, *batch: Tensor, generator: torch.Generator | None = None) -> TwoFrames:
        """The two frames of each pair of poses, the second made with the first in view."""
        frames, maps = batch
        if tuple(frames.shape[1:]) != (2, *self.event_shape) or maps.ndim != 5 or maps.shape[1] != 2:
            raise ValueError(
                f"a batch is (frames, maps), two of each in a row: frames (B, {(2, *self.event_shape)}) and as many "
                f"maps; got {tuple(frames.shape)} and {tuple(maps.shape)}"
            )
        self._check_maps(maps.flatten(0, 1))
        net = self.generator["frame"]
        first = net(torch.cat([maps[:, 0], maps.new_zeros(len(maps), *self.event_shape)], dim=1))
        second = net(torch.cat([maps[:, 1], first], dim=1))
        all_maps = torch.cat([maps[:, 0], maps[:, 1]])
        heads = self._refined_heads(all_maps, torch.cat([first, second]).detach())
        return TwoFrames(torch.stack([first, second], dim=1), heads)

    def critic_terms(self, drawn: Drawn, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """Least squares: of pairs of frames, the sum over scales, and of heads."""
        frames, maps = batch
        made, heads = drawn
        logits = zip(*(self.critic.frames(_stacked(x, maps)) for x in (frames, made)), strict=True)
        losses = [objectives.least_squares_critic_loss(data, model) for data, model in logits]
        sides = [self.critic.head(self._head_pairs(maps, x)).flatten() for x in (self._heads(frames, maps), heads)]
        return {"frames": torch.stack(losses).sum(), "head": objectives.least_squares_critic_loss(*sides)}

    def generator_terms(self, drawn: Drawn, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """Least squares and feature matching of both games."""
        frames, maps = batch
        made, heads = drawn
        scales = self.critic.frames.activations(_stacked(made, maps))
        head_maps = self.critic.head.activations(self._head_pairs(maps, heads))
        losses = [objectives.least_squares_generator_loss(layers[-1].flatten()) for layers in scales]
        terms = {
            "frames": torch.stack(losses).sum(),
            "head": objectives.least_squares_generator_loss(head_maps[-1].flatten()),
        }
        if self.feature_matching == 0:
            return terms
        with torch.no_grad():
            scales_data = self.critic.frames.activations(_stacked(frames, maps))
            head_maps_data = self.critic.head.activations(self._head_pairs(maps, self._heads(frames, maps)))
        distances = [feature_matching(a[:-1], b[:-1]) for a, b in zip(scales, scales_data, strict=True)]
        return terms | {
            "feature_matching": self.feature_matching * torch.stack(distances).sum(),
            "head_matching": self.feature_matching * feature_matching(head_maps[:-1], head_maps_data[:-1]),
        }

    def _check_maps(self, maps: Tensor) -> None:
        n, k = self.event_shape[0], self.source_shape[0]
        if tuple(maps.shape[1:]) != (k - n, *self.event_shape[1:]):
            raise ValueError(
                f"this EverybodyDanceNow was built for pose maps {(k - n, *self.event_shape[1:])}, got "
                f"{tuple(maps.shape[1:])}"
            )

    def _heads(self, frames: Tensor, maps: Tensor) -> Tensor:
        """(B, 2, ...) -> (2 B, C, side, side): the heads of the first frames, then of the second ones."""
        images, all_maps = (torch.cat([x[:, 0], x[:, 1]]) for x in (frames, maps))
        return crop(images, peaks(all_maps)[:, self.head_map], self.head_side)

    def _head_pairs(self, maps: Tensor, heads: Tensor) -> Tensor:
        """(2 B, K + C, side, side): the poses about the heads, and the heads."""
        return torch.cat([self._heads(maps, maps), heads], dim=1)

    def _refined_heads(self, maps: Tensor, frames: Tensor) -> Tensor:
        centre = peaks(maps)[:, self.head_map]
        pose, head = (crop(x, centre, self.head_side) for x in (maps, frames))
        return head + self.generator["head"](torch.cat([pose, head], dim=1))


class _Critics(nn.Module):
    """Of two frames in a row, and of heads; of poses beside images, both."""

    def __init__(self, n_channels: int, n_scales: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.frames = MultiScaleCritic(2 * n_channels, n_scales=n_scales, channels=channels)
        self.head = PatchNet(n_channels, channels=channels[:1], norm=None)


def normalise_poses(
    joints: Float[Tensor, "T J 2"],
    target: Float[Tensor, "U J 2"],
    *,
    ankles: Sequence[int],
    head: int,
    margin: float = 0.01,
) -> Float[Tensor, "T J 2"]:
    """Poses of one person, x and y downwards, moved and scaled to stand and be as tall as another in the other's video.

        feet' = t_far + (feet - s_far) / (s_close - s_far) (t_close - t_far)
        joint' = (x of the feet, feet') + scale (joint - feet)

    Feet are the lower ankle, the middle of both in x; a person is close where the feet are low in the image.  `scale`
    is the ratio of the two heights, each the greatest from feet to head among the frames within `margin` of the close
    and of the far end, and linear in between.  Where a person stays at one distance the two ends are one.

    Paper: Chan et al. 2019, https://arxiv.org/abs/1808.07371, global pose normalization.  Differs: the
    scale acts about the feet; the far end is the minimum of the feet, without the paper's search about their median.
    """
    ends_source, ends_target = _ends(joints, ankles, head, margin), _ends(target, ankles, head, margin)
    feet = joints[:, list(ankles), 1].amax(1)
    depth = ends_source.close_feet - ends_source.far_feet
    share = ((feet - ends_source.far_feet) / depth if depth > margin else torch.ones_like(feet))[:, None]
    scale_far, scale_close = (
        ends_target.far_height / ends_source.far_height,
        ends_target.close_height / ends_source.close_height,
    )
    scale = torch.lerp(scale_far, scale_close, share)
    new_feet = torch.lerp(ends_target.far_feet, ends_target.close_feet, share)
    old = torch.stack([joints[:, list(ankles), 0].mean(1), feet], dim=1)[:, None]  # (T, 1, 2)
    new = torch.stack([old[:, 0, 0], new_feet[:, 0]], dim=1)[:, None]
    return new + scale[:, None] * (joints - old)


class _Ends(NamedTuple):
    far_feet: Tensor
    far_height: Tensor
    close_feet: Tensor
    close_height: Tensor


def _ends(joints: Tensor, ankles: Sequence[int], head: int, margin: float) -> _Ends:
    feet = joints[:, list(ankles), 1].amax(1)
    height = feet - joints[:, head, 1]
    far, close = feet.min(), feet.max()
    return _Ends(far, height[feet <= far + margin].max(), close, height[feet >= close - margin].max())


def _stacked(frames: Tensor, maps: Tensor) -> Tensor:
    """(B, 2, C, H, W), (B, 2, K, H, W) -> (B, 2 (K + C), H, W)."""
    return torch.cat([maps, frames], dim=2).flatten(1, 2)
