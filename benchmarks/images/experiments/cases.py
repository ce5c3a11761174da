"""All experiments: one visible dict.  A new system is one entry in its family's file."""

from benchmarks.images.experiments.experiment import Experiment
from benchmarks.images.experiments.related import RELATED
from benchmarks.images.experiments.stylistic import STYLISTIC
from benchmarks.images.experiments.unconditional import UNCONDITIONAL
from benchmarks.images.experiments.unpaired import UNPAIRED

EXPERIMENTS: dict[str, Experiment] = {**UNCONDITIONAL, **UNPAIRED, **RELATED, **STYLISTIC}
