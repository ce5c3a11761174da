"""All experiments: one visible dict.  A new system is one entry in its family's file."""

from benchmarks.images.experiments.arithmetic import ARITHMETIC
from benchmarks.images.experiments.attribute_edits import ATTRIBUTE_EDITS
from benchmarks.images.experiments.attributes import DRAWN_TO_ATTRIBUTES
from benchmarks.images.experiments.captions import CAPTIONS
from benchmarks.images.experiments.chains import CHAINS
from benchmarks.images.experiments.dance import DANCE
from benchmarks.images.experiments.diffusion import DIFFUSION
from benchmarks.images.experiments.experiment import Experiment
from benchmarks.images.experiments.frontal_faces import FRONTAL_FACES
from benchmarks.images.experiments.hybrids import HYBRIDS
from benchmarks.images.experiments.image_pairs import IMAGE_PAIRS
from benchmarks.images.experiments.item_in_scene import ITEM_IN_SCENE
from benchmarks.images.experiments.labels import LABELS
from benchmarks.images.experiments.latent import LATENT_OPERATIONS
from benchmarks.images.experiments.melody import MELODY
from benchmarks.images.experiments.modes import MODE_GAMES
from benchmarks.images.experiments.poses import POSES
from benchmarks.images.experiments.related import RELATED
from benchmarks.images.experiments.repair import REPAIR
from benchmarks.images.experiments.selection import SELECTION
from benchmarks.images.experiments.shapes import SHAPES
from benchmarks.images.experiments.small_objects import SMALL_OBJECTS
from benchmarks.images.experiments.stylistic import STYLISTIC
from benchmarks.images.experiments.super_resolution import SUPER_RESOLUTION
from benchmarks.images.experiments.unconditional import UNCONDITIONAL
from benchmarks.images.experiments.unpaired import UNPAIRED
from benchmarks.images.experiments.volumes import VOLUMES

EXPERIMENTS: dict[str, Experiment] = {
    **ARITHMETIC,
    **ATTRIBUTE_EDITS,
    **DRAWN_TO_ATTRIBUTES,
    **CAPTIONS,
    **CHAINS,
    **DANCE,
    **DIFFUSION,
    **FRONTAL_FACES,
    **HYBRIDS,
    **IMAGE_PAIRS,
    **ITEM_IN_SCENE,
    **LABELS,
    **LATENT_OPERATIONS,
    **MELODY,
    **MODE_GAMES,
    **POSES,
    **RELATED,
    **REPAIR,
    **SELECTION,
    **SHAPES,
    **SMALL_OBJECTS,
    **STYLISTIC,
    **SUPER_RESOLUTION,
    **UNCONDITIONAL,
    **UNPAIRED,
    **VOLUMES,
}
