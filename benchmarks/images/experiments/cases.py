"""All experiments: one visible dict.  A new system is one entry in its family's file."""

from benchmarks.images.experiments.dance import DANCE
from benchmarks.images.experiments.experiment import Experiment
from benchmarks.images.experiments.frontal_faces import FRONTAL_FACES
from benchmarks.images.experiments.image_pairs import IMAGE_PAIRS
from benchmarks.images.experiments.item_in_scene import ITEM_IN_SCENE
from benchmarks.images.experiments.poses import POSES
from benchmarks.images.experiments.unconditional import UNCONDITIONAL

EXPERIMENTS: dict[str, Experiment] = {
    **UNCONDITIONAL,
    **IMAGE_PAIRS,
    **ITEM_IN_SCENE,
    **POSES,
    **DANCE,
    **FRONTAL_FACES,
}
