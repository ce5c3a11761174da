"""All experiments: one visible dict.  A new system is one entry in its family's file."""

from benchmarks.images.experiments.experiment import Experiment
from benchmarks.images.experiments.labels import LABELS
from benchmarks.images.experiments.modes import MODE_GAMES
from benchmarks.images.experiments.unconditional import UNCONDITIONAL

EXPERIMENTS: dict[str, Experiment] = {**MODE_GAMES, **UNCONDITIONAL, **LABELS}
