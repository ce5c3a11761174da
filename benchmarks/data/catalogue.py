"""What each data set is: one card a name, and nothing read until it is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.data import toys
from benchmarks.data.files import IdxFile, IdxSource, read_files

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class Rows(NamedTuple):
    """The rows of one split as they are stored."""

    values: Tensor
    """(N, *E): levels as uint8, or real numbers as float32."""
    labels: Tensor
    """(N,) int64."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a data set is."""

    what: str
    event_shape: tuple[int, ...]
    sizes: tuple[int, int, int]
    """Rows of train, validation and test."""
    n_classes: int
    levels: int | None
    """Stored levels of a pixel; 2 is binary, None is real numbers."""
    read: Callable[["Card", Path | None, int], dict[Split, Rows]]
    """(card, folder of the user or None, seed) -> the rows; only what is drawn looks at the seed."""
    source: IdxSource | None = None
    """Files, where it has any."""
    is_drawn: bool = False
    """Drawn from a seed."""

    @property
    def is_image(self) -> bool:
        """Levels that a treatment of pixels makes events of."""
        return self.levels is not None and self.levels > 2


def _idx_rows(card: Card, data_dir: Path | None, seed: int) -> dict[Split, Rows]:
    """The papers' split: the last rows of the training file are for validation."""
    assert card.source is not None
    arrays = {key: torch.from_numpy(array) for key, array in read_files(card.source, data_dir).items()}
    x, y = arrays["train_images"][:, None], arrays["train_labels"].long()  # (N, H, W) -> (N, 1, H, W)
    n_train = card.sizes[0]
    return {
        "train": Rows(x[:n_train], y[:n_train]),
        "validation": Rows(x[n_train:], y[n_train:]),
        "test": Rows(arrays["test_images"][:, None], arrays["test_labels"].long()),
    }


def _digits_rows(card: Card, data_dir: Path | None, seed: int) -> dict[Split, Rows]:
    """Every seventh row is for testing, the one after it for validation.

    The file has runs of the ten digits in order, which seven has no factor in common with.
    """
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    x = torch.from_numpy(bunch.images.astype(np.uint8))[:, None]  # (N, 8, 8) -> (N, 1, 8, 8)
    y = torch.from_numpy(bunch.target).long()
    place = torch.arange(len(x)) % 7
    chosen: dict[Split, Tensor] = {"train": place > 1, "validation": place == 1, "test": place == 0}
    return {split: Rows(x[rows], y[rows]) for split, rows in chosen.items()}


def _digits_28_rows(card: Card, data_dir: Path | None, seed: int) -> dict[Split, Rows]:
    """The digits enlarged bilinearly to 28 x 28 pixels of 256 levels."""
    digits = _digits_rows(card, data_dir, seed)
    enlarged = {split: F.interpolate(x.float(), size=(28, 28), mode="bilinear") for split, (x, _) in digits.items()}
    return {
        split: Rows((x * (255 / 16)).round().to(torch.uint8), digits[split].labels) for split, x in enlarged.items()
    }


def _digit_crops_rows(card: Card, data_dir: Path | None, seed: int) -> dict[Split, Rows]:
    """Three rows and four columns from the middle of the digits, black or white."""
    digits = _digits_rows(card, data_dir, seed)
    return {split: Rows((x[:, :, 2:5, 2:6] >= 8).to(torch.uint8), y) for split, (x, y) in digits.items()}


def _drawn(draw: Callable[..., tuple[Tensor, Tensor]]) -> Callable[[Card, Path | None, int], dict[Split, Rows]]:
    def read(card: Card, data_dir: Path | None, seed: int) -> dict[Split, Rows]:
        generator = torch.Generator().manual_seed(seed)
        return {split: Rows(*draw(n, generator=generator)) for split, n in zip(SPLITS, card.sizes, strict=True)}

    return read


def _idx_files(sha256: dict[str, str]) -> dict[str, IdxFile]:
    return {
        "train_images": IdxFile("train-images-idx3-ubyte", (60_000, 28, 28), sha256["train_images"]),
        "train_labels": IdxFile("train-labels-idx1-ubyte", (60_000,), sha256["train_labels"]),
        "test_images": IdxFile("t10k-images-idx3-ubyte", (10_000, 28, 28), sha256["test_images"]),
        "test_labels": IdxFile("t10k-labels-idx1-ubyte", (10_000,), sha256["test_labels"]),
    }


MNIST = IdxSource(
    folder="mnist",
    files=_idx_files(
        {
            "train_images": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "train_labels": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "test_images": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "test_labels": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        }
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        "https://storage.googleapis.com/cvdf-datasets/mnist",
    ),
)
FASHION_MNIST = IdxSource(
    folder="fashion-mnist",
    files=_idx_files(
        {
            "train_images": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "train_labels": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "test_images": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "test_labels": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        }
    ),
    mirrors=(
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    ),
    system_folder=Path("/usr/share/datasets/fashion-mnist"),
    system_remedy="on Debian and Ubuntu: apt-get install dataset-fashion-mnist",
)

_PAPERS_SPLIT = (50_000, 10_000, 10_000)
_DRAWN_SIZES = (10_000, 2_000, 2_000)

CATALOGUE: dict[str, Card] = {
    "digits": Card(
        what="scikit-learn's handwritten digits, which need no file",
        event_shape=(1, 8, 8),
        sizes=(1283, 257, 257),
        n_classes=10,
        levels=17,
        read=_digits_rows,
    ),
    "digit-crops": Card(
        what="the middle of those digits, black or white: few enough pixels to sum over all images",
        event_shape=(1, 3, 4),
        sizes=(1283, 257, 257),
        n_classes=10,
        levels=2,
        read=_digit_crops_rows,
    ),
    "digits-28": Card(
        what="those digits enlarged to 28 x 28 pixels: in the place of MNIST where there are no files",
        event_shape=(1, 28, 28),
        sizes=(1283, 257, 257),
        n_classes=10,
        levels=256,
        read=_digits_28_rows,
    ),
    "mnist": Card(
        what="MNIST, handwritten digits",
        event_shape=(1, 28, 28),
        sizes=_PAPERS_SPLIT,
        n_classes=10,
        levels=256,
        read=_idx_rows,
        source=MNIST,
    ),
    "fashion-mnist": Card(
        what="Fashion-MNIST, articles of clothing (https://arxiv.org/abs/1708.07747)",
        event_shape=(1, 28, 28),
        sizes=_PAPERS_SPLIT,
        n_classes=10,
        levels=256,
        read=_idx_rows,
        source=FASHION_MNIST,
    ),
    "two-moons": Card(
        what="two interleaved half circles",
        event_shape=(2,),
        sizes=_DRAWN_SIZES,
        n_classes=2,
        levels=None,
        read=_drawn(toys.two_moons),
        is_drawn=True,
    ),
    "ring": Card(
        what="eight Gaussians on a circle of radius 2, std 0.02",
        event_shape=(2,),
        sizes=_DRAWN_SIZES,
        n_classes=8,
        levels=None,
        read=_drawn(toys.RING.sample),
        is_drawn=True,
    ),
    "grid": Card(
        what="twenty-five Gaussians on a grid of spacing 2, std 0.05",
        event_shape=(2,),
        sizes=_DRAWN_SIZES,
        n_classes=25,
        levels=None,
        read=_drawn(toys.GRID.sample),
        is_drawn=True,
    ),
    "blobs": Card(
        what="three Gaussians far apart",
        event_shape=(2,),
        sizes=_DRAWN_SIZES,
        n_classes=3,
        levels=None,
        read=_drawn(toys.BLOBS.sample),
        is_drawn=True,
    ),
    "eight-states": Card(
        what="three bits with a table of eight probabilities",
        event_shape=(3,),
        sizes=_DRAWN_SIZES,
        n_classes=8,
        levels=2,
        read=_drawn(toys.eight_states),
        is_drawn=True,
    ),
}
