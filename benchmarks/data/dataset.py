"""`load(name)`: the one door to every data set."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.data import pixels as treat
from benchmarks.data.catalogue import CATALOGUE, SPLITS, Card, Rows, Split
from benchmarks.data.pixels import BINARY, DRAWN_EACH_BATCH, TREATMENTS, Pixels
from gail_suite.errors import InputError
from generative_core.training.batches import ShuffledBatches


def load(
    name: str = "digits",
    *,
    pixels: Pixels | None = None,
    pool: bool = False,
    data_dir: str | Path | None = None,
    seed: int = 0,
) -> "DataSet":
    """A data set of `CATALOGUE` as events for models.

    `pixels` is the treatment of images, "grey" where none is given; `pool` halves their sides.  `data_dir` holds the
    files of MNIST and Fashion-MNIST, which are otherwise found or downloaded.  `seed` draws what is drawn once: fixed
    binarisation and the procedural sets.

    Raises:
        InputError: an unknown name, a treatment of what is no image, or files that are missing or damaged.
    """
    if name not in CATALOGUE:
        raise InputError(f"there is no data set {name!r}; choose among {', '.join(CATALOGUE)}")
    card = CATALOGUE[name]
    if pixels is not None and pixels not in TREATMENTS:
        raise InputError(f"there is no treatment of pixels {pixels!r}; choose among {', '.join(TREATMENTS)}")
    if not card.is_image and (pixels is not None or pool):
        what = "is binary as it is" if card.levels == 2 else "has no pixels"
        raise InputError(f"{name} {what}: leave out the treatment of pixels and the pooling")
    rows = card.read(card, None if data_dir is None else Path(data_dir), seed)
    if pool:
        rows = {split: Rows(treat.mean_pool(values), labels) for split, (values, labels) in rows.items()}
    treatment = (pixels or "grey") if card.is_image else None
    levels = card.levels
    if treatment == "fixed":
        assert levels is not None
        rows = _binarised_once(rows, levels, seed)
        levels = 2
    return DataSet(name=name, card=card, pixels=treatment, pool=pool, seed=seed, stored_levels=levels, rows=rows)


def _binarised_once(rows: dict[Split, Rows], levels: int, seed: int) -> dict[Split, Rows]:
    generator = torch.Generator().manual_seed(seed)
    drawn = {}
    for split in SPLITS:
        values, labels = rows[split]
        drawn[split] = Rows(treat.binarise(values, levels, generator=generator, dtype=torch.uint8), labels)
    return drawn


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Three splits of events.  Binary events are 0 and 1, grey and dequantised ones lie in [-1, 1]; see `Pixels`."""

    name: str
    card: Card
    pixels: Pixels | None
    """None for what is no image."""
    pool: bool
    seed: int
    """Of what was drawn once."""
    stored_levels: int | None
    """Levels of the stored values; None where they are real numbers."""
    rows: dict[Split, Rows]

    @property
    def event_shape(self) -> tuple[int, ...]:
        return tuple(self.rows["train"].values.shape[1:])

    @property
    def n_classes(self) -> int:
        return self.card.n_classes

    @property
    def is_binary(self) -> bool:
        """Events are 0 and 1."""
        return self.pixels in BINARY or self.card.levels == 2

    @property
    def event_levels(self) -> int | None:
        """Discrete levels of an event: 2 for binary ones, None where they are real numbers (dequantised ones too)."""
        if self.is_binary:
            return 2
        return None if self.pixels == "dequantised" else self.card.levels

    @property
    def is_drawn_each_batch(self) -> bool:
        """The same row is another event each time."""
        return self.pixels in DRAWN_EACH_BATCH

    def labels(self, split: Split) -> Tensor:
        """(N,) classes, int64."""
        return self.rows[split].labels

    def contexts(self, split: Split) -> Tensor:
        """(N, n_classes) one-hot classes, as conditional models take them."""
        return F.one_hot(self.labels(split), self.n_classes).float()

    def events(self, split: Split, *, seed: int = 0) -> Tensor:
        """(N, *E): the whole split, in its own order.  What a batch would draw is drawn from `seed`: for evaluation."""
        return self.treat(self.rows[split].values, torch.Generator().manual_seed(seed))

    def batches(
        self,
        batch_size: int,
        *,
        split: Split = "train",
        with_labels: bool = False,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> "EventBatches":
        """An endless stream of shuffled (x,) or (x, one-hot classes), for `fit`."""
        values = self.rows[split].values.to(device)
        context = (self.contexts(split).to(device),) if with_labels else ()
        return EventBatches(self, ShuffledBatches(values, *context, batch_size=batch_size, seed=seed), seed=seed)

    def treat(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """Stored values (B, *E) -> events."""
        levels = self.stored_levels
        if levels is None or levels == 2 or self.pixels is None:
            return values.float()
        match self.pixels:
            case "grey":
                return treat.grey(values, levels)
            case "dequantised":
                return treat.dequantise(values, levels, generator=generator)
            case "threshold":
                return treat.threshold(values, levels)
            case "dynamic":
                return treat.binarise(values, levels, generator=generator)
        raise AssertionError(f"{self.pixels} has been dealt with at loading")

    def provenance(self) -> dict[str, Any]:
        """What a result says of its data."""
        files = self.card.source.files if self.card.source is not None else {}
        return {
            "name": self.name,
            "event_shape": list(self.event_shape),
            "pixels": self.pixels,
            "rows": {split: len(self.rows[split].labels) for split in SPLITS},
            "seed": self.seed if self.card.is_drawn or self.pixels == "fixed" else None,
            "sha256": {file.name: file.sha256 for file in files.values()},
        }


class EventBatches:
    """Endless (x,) or (x, context): rows of `ShuffledBatches`, made events as they come.  Its place can be saved."""

    def __init__(self, data: DataSet, rows: ShuffledBatches, *, seed: int) -> None:
        self.data = data
        self.rows = rows
        self.noise = torch.Generator(rows.tensors[0].device).manual_seed(seed)

    def __iter__(self) -> "EventBatches":
        return self

    def __next__(self) -> tuple[Tensor, ...]:
        values, *context = next(self.rows)
        return self.data.treat(values, self.noise), *context

    def state_dict(self) -> dict[str, Any]:
        """The place in the stream and the noise still to come, without the data."""
        return {"rows": self.rows.state_dict(), "noise": self.noise.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved place.  Raises ValueError where that was in data of another length."""
        self.rows.load_state_dict(state["rows"])
        self.noise.set_state(state["noise"])
