"""All experiments: one visible dict.  A new system is one entry in its family's file."""

from benchmarks.images.experiments.experiment import Experiment
from benchmarks.images.experiments.unconditional import UNCONDITIONAL
from benchmarks.images.experiments.volumes import VOLUMES

EXPERIMENTS: dict[str, Experiment] = {**UNCONDITIONAL, **VOLUMES}
