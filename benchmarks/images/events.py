"""The data of a run: what the case takes, or what the command line says in its place."""

from benchmarks.data import CATALOGUE, DataSet, load
from benchmarks.data.pixels import BINARY
from benchmarks.images.config import ImageConfig
from benchmarks.images.recipes import Case
from gail_suite.errors import InputError

DATA_SEED = 0  # one fixed binarisation for all runs, whatever their own seed


def load_events(config: ImageConfig, case: Case, max_side: int) -> DataSet:
    """Raises InputError for a data set that is not there, or whose events the model does not take."""
    name = config.dataset or case.dataset
    card = CATALOGUE.get(name)
    wanted = config.pixels or case.pixels
    binary = case.pixels in BINARY
    if (wanted not in BINARY) if binary else (wanted != case.pixels):
        takes = f"binary images: --pixels {', '.join(sorted(BINARY))}" if binary else f"--pixels {case.pixels}"
        raise InputError(f"{config.model} takes {takes}; got {wanted}")
    if card is None or card.is_image:
        is_large = card is not None and max(card.event_shape[1:]) > max_side
        return load(name, pixels=wanted, pool=is_large, data_dir=config.data_dir, seed=DATA_SEED)
    if not (binary and card.levels == 2 and len(card.event_shape) == 3):
        raise InputError(f"{name} is not {'binary images' if binary else 'images'}, which {config.model} takes")
    if config.pixels is not None:
        raise InputError(f"{name} is binary as it is; leave --pixels out")
    return load(name, data_dir=config.data_dir, seed=DATA_SEED)
