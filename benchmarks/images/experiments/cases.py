"""All experiments: one visible dict.  A new system is one entry in its family's file."""

from benchmarks.images.experiments.attributes import DRAWN_TO_ATTRIBUTES
from benchmarks.images.experiments.captions import CAPTIONS
from benchmarks.images.experiments.experiment import Experiment
from benchmarks.images.experiments.melody import MELODY
from benchmarks.images.experiments.unconditional import UNCONDITIONAL
from benchmarks.images.experiments.volumes import VOLUMES

EXPERIMENTS: dict[str, Experiment] = {
    **CAPTIONS,
    **DRAWN_TO_ATTRIBUTES,
    **MELODY,
    **UNCONDITIONAL,
    **VOLUMES,
}
