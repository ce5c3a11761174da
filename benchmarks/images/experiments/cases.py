"""All experiments: one visible dict.  A new system is one entry in its family's file."""

from benchmarks.images.experiments.diffusion import DIFFUSION
from benchmarks.images.experiments.experiment import Experiment
from benchmarks.images.experiments.repair import REPAIR
from benchmarks.images.experiments.small_objects import SMALL_OBJECTS
from benchmarks.images.experiments.super_resolution import SUPER_RESOLUTION
from benchmarks.images.experiments.unconditional import UNCONDITIONAL

EXPERIMENTS: dict[str, Experiment] = {**UNCONDITIONAL, **DIFFUSION, **SUPER_RESOLUTION, **REPAIR, **SMALL_OBJECTS}
