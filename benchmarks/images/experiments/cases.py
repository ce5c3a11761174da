"""All experiments: one visible dict.  A new system is one entry in its family's file."""

from benchmarks.images.experiments.attributes import ATTRIBUTES
from benchmarks.images.experiments.experiment import Experiment
from benchmarks.images.experiments.hybrids import HYBRIDS
from benchmarks.images.experiments.latent import LATENT_OPERATIONS
from benchmarks.images.experiments.selection import SELECTION
from benchmarks.images.experiments.unconditional import UNCONDITIONAL

EXPERIMENTS: dict[str, Experiment] = {**UNCONDITIONAL, **HYBRIDS, **LATENT_OPERATIONS, **ATTRIBUTES, **SELECTION}
