"""The data sets: splits, treatments of pixels with their exact laws, streams that resume, toys with known densities."""

import gzip
import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from benchmarks.data import CATALOGUE, load, pixels, toys
from benchmarks.data.catalogue import SPLITS, IdxFile, IdxSource
from gail_suite.errors import InputError
from generative_core.training.checkpoint import load_checkpoint, save_checkpoint
from tests.benchmarks.test_data_files import idx_bytes

WITHOUT_FILES = [name for name, card in CATALOGUE.items() if card.source is None]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def tiny_mnist(tmp_path, monkeypatch):
    """Seven training and three test images under the name of MNIST, and the folder that they are in."""
    rng = np.random.default_rng(0)
    arrays = {
        "train_images": rng.integers(0, 256, (7, 28, 28), dtype=np.uint8),
        "train_labels": np.arange(7, dtype=np.uint8),
        "test_images": rng.integers(0, 256, (3, 28, 28), dtype=np.uint8),
        "test_labels": np.array([9, 8, 7], dtype=np.uint8),
    }
    contents = {key: idx_bytes(array) for key, array in arrays.items()}
    for key, content in contents.items():
        (tmp_path / f"{key}.gz").write_bytes(gzip.compress(content))
    expected = {
        key: IdxFile(key, arrays[key].shape, hashlib.sha256(content).hexdigest()) for key, content in contents.items()
    }
    source = IdxSource(folder="mnist", files=expected, mirrors=())
    monkeypatch.setitem(CATALOGUE, "mnist", replace(CATALOGUE["mnist"], source=source, sizes=(5, 2, 3)))
    return tmp_path, arrays


# -- what the catalogue says -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WITHOUT_FILES)
def test_what_the_catalogue_says_is_what_is_loaded(name):
    data = load(name)
    card = CATALOGUE[name]
    assert data.event_shape == card.event_shape
    for split, size in zip(SPLITS, card.sizes, strict=True):
        x, label = data.events(split), data.labels(split)
        assert x.shape == (size, *card.event_shape)
        assert x.dtype == torch.float32
        assert label.shape == (size,)
        assert 0 <= label.min() <= label.max() < card.n_classes
        assert data.contexts(split).shape == (size, card.n_classes)
        if data.is_binary:
            assert x.unique().tolist() == [0, 1]
    assert len(data.labels("train").unique()) == card.n_classes
    assert data.provenance()["rows"]["train"] == card.sizes[0]


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_papers_sizes_of_the_files(name):
    source = CATALOGUE[name].source
    assert source is not None
    assert CATALOGUE[name].sizes == (50_000, 10_000, 10_000)
    assert source.files["train_images"].shape == (60_000, 28, 28)
    assert source.files["test_labels"].shape == (10_000,)
    assert all(len(bytes.fromhex(file.sha256)) == 32 for file in source.files.values())
    assert len(source.mirrors) >= 2


def test_the_last_rows_of_the_training_file_are_for_validation(tiny_mnist):
    folder, arrays = tiny_mnist
    data = load("mnist", data_dir=folder)
    assert {split: len(data.labels(split)) for split in SPLITS} == {"train": 5, "validation": 2, "test": 3}
    assert data.labels("validation").tolist() == [5, 6]
    expected = 2 * torch.from_numpy(arrays["test_images"]).double() / 255 - 1
    assert_close(data.events("test")[:, 0].double(), expected, atol=1e-6, rtol=0)
    assert len(data.provenance()["sha256"]) == 4


def test_digits_splits_are_disjoint_and_hold_every_row_in_balance():
    data = load("digits")
    rows = torch.cat([data.rows[split].values.flatten(1) for split in SPLITS])
    assert len(rows.unique(dim=0)) == len(rows) == 1797
    for split in SPLITS:
        share = data.labels(split).bincount().double() / len(data.labels(split))
        assert share.min() > 0.06
        assert share.max() < 0.14


def test_digit_crops_are_the_middle_of_the_digits():
    digits, crops = load("digits", pixels="threshold"), load("digit-crops")
    assert_close(crops.events("test"), digits.events("test")[:, :, 2:5, 2:6])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "cifar"}, "choose among digits, digit-crops, digits-28, mnist"),
        ({"pixels": "gray"}, "choose among grey, dequantised"),
        ({"name": "ring", "pixels": "grey"}, "ring has no pixels"),
        ({"name": "digit-crops", "pool": True}, "digit-crops is binary as it is"),
    ],
)
def test_what_cannot_be_loaded_is_an_input_error(arguments, message):
    with pytest.raises(InputError, match=message):
        load(**arguments)


# -- treatments of pixels ----------------------------------------------------------------------------------------------

LEVELS = torch.arange(256, dtype=torch.uint8)


def test_grey_puts_level_k_at_2k_over_255_minus_1():
    assert_close(pixels.grey(LEVELS, 256, dtype=torch.float64), 2 * LEVELS.double() / 255 - 1, atol=1e-15, rtol=0)
    assert pixels.grey(LEVELS, 256)[[0, -1]].tolist() == [-1, 1]


def test_dequantised_bins_are_2_over_256_wide_and_fill_the_range():
    x = pixels.dequantise(LEVELS.repeat(400, 1), 256, generator=generator(), dtype=torch.float64)
    assert_close(((x + 1) * 128).floor(), LEVELS.double().repeat(400, 1))
    place = ((x + 1) * 128 - LEVELS).flatten()  # uniform in [0, 1)
    assert place.min() >= 0
    assert place.max() < 1
    assert place.histc(10, 0, 1).div(len(place)).sub(0.1).abs().max() < 0.004
    assert x.min() >= -1
    assert x.max() < 1


def test_threshold_is_above_127_of_256_and_above_7_of_17():
    assert_close(pixels.threshold(LEVELS, 256), (LEVELS > 127).float())
    digit_levels = torch.arange(17)
    assert_close(pixels.threshold(digit_levels, 17), (digit_levels > 7).float())


def test_binarised_mean_is_the_level_and_the_ends_are_sure():
    x = pixels.binarise(LEVELS.repeat(10_000, 1), 256, generator=generator())
    assert x.unique().tolist() == [0, 1]
    probability = LEVELS.double() / 255
    error = (x.double().mean(0) - probability).abs()
    assert (error <= 5 * (probability * (1 - probability) / 10_000).sqrt()).all()  # exactly so at both ends


def test_mean_pool_is_the_mean_rounded_half_up():
    block = torch.tensor([[1, 2, 255, 255], [2, 1, 255, 255], [0, 0, 7, 7], [0, 1, 7, 8]], dtype=torch.uint8)
    assert pixels.mean_pool(block[None, None])[0, 0].tolist() == [[2, 255], [0, 7]]
    assert load("digits", pool=True).event_shape == (1, 4, 4)


@pytest.mark.parametrize(
    ("treatment", "levels", "is_binary"),
    [
        ("grey", 17, False),
        ("dequantised", None, False),
        ("threshold", 2, True),
        ("fixed", 2, True),
        ("dynamic", 2, True),
    ],
)
def test_levels_of_events(treatment, levels, is_binary):
    data = load("digits", pixels=treatment)
    assert (data.event_levels, data.is_binary) == (levels, is_binary)
    x = data.events("test")
    assert levels is None or len(x.unique()) == levels
    assert x.min() >= (0 if is_binary else -1)
    assert x.max() <= 1


def test_fixed_binarisation_is_drawn_once_from_the_seed_that_the_result_names():
    a, b = load("digits", pixels="fixed", seed=3), load("digits", pixels="fixed", seed=3)
    assert torch.equal(a.events("train"), b.events("train", seed=1))
    assert not torch.equal(a.events("train"), load("digits", pixels="fixed", seed=4).events("train"))
    assert a.provenance()["seed"] == 3
    assert load("digits", pixels="dynamic", seed=3).provenance()["seed"] is None
    grey = load("digits").events("train") / 2 + 0.5
    assert abs(a.events("train").mean() - grey.mean()) < 0.005


@pytest.mark.parametrize("treatment", ["dynamic", "dequantised"])
def test_evaluation_draws_the_same_events_for_the_same_seed(treatment):
    data = load("digits", pixels=treatment)
    assert torch.equal(data.events("test"), data.events("test"))
    assert not torch.equal(data.events("test"), data.events("test", seed=1))


# -- streams -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("treatment", "is_new"), [("dynamic", True), ("dequantised", True), ("fixed", False)])
def test_a_row_is_drawn_anew_each_epoch_or_never(treatment, is_new):
    data = load("digits", pixels=treatment)
    assert data.is_drawn_each_batch == is_new
    batches = data.batches(len(data.labels("test")), split="test")  # one epoch a batch
    epochs = []
    for _ in range(2):
        (x,) = next(batches)
        epochs.append(x[batches.rows.order.argsort()])  # back in the file's own order
    assert torch.equal(*epochs) != is_new


@pytest.mark.parametrize("treatment", ["grey", "dequantised", "threshold", "fixed", "dynamic"])
def test_a_stream_goes_on_where_it_was_saved(treatment, tmp_path):
    data = load("digits", pixels=treatment)
    first = data.batches(100, with_labels=True, seed=5)
    for _ in range(17):  # past the end of the first epoch
        next(first)
    save_checkpoint(tmp_path / "x", {"batches": first.state_dict()})
    resumed = load("digits", pixels=treatment).batches(100, with_labels=True, seed=0)
    resumed.load_state_dict(load_checkpoint(tmp_path / "x")["batches"])
    for _ in range(17):
        for a, b in zip(next(first), next(resumed), strict=True):
            assert torch.equal(a, b)


def test_contexts_stay_with_their_rows():
    data = load("digits")
    x, context = next(data.batches(64, with_labels=True))
    all_rows = data.events("train").flatten(1).tolist()
    known = {tuple(row): label for row, label in zip(all_rows, data.labels("train").tolist(), strict=True)}
    assert [known[tuple(row)] for row in x.flatten(1).tolist()] == context.argmax(1).tolist()


# -- toys --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["two-moons", "ring", "eight-states"])
def test_toys_are_drawn_from_the_seed(name):
    assert torch.equal(load(name, seed=1).events("test"), load(name, seed=1).events("test"))
    assert not torch.equal(load(name, seed=1).events("test"), load(name, seed=2).events("test"))
    assert load(name, seed=1).provenance()["seed"] == 1


@pytest.mark.parametrize(
    ("modes", "n_modes", "closest"),
    [(toys.RING, 8, 4 * math.sin(math.pi / 8)), (toys.GRID, 25, 2.0), (toys.BLOBS, 3, 41**0.5)],
)
def test_gaussian_modes_are_where_they_should_be(modes, n_modes, closest):
    centres = torch.tensor(modes.centres, dtype=torch.float64)
    assert len(centres) == n_modes
    assert_close(torch.pdist(centres).min().item(), closest)
    x, label = modes.sample(20_000, generator=generator())
    residual = (x - centres[label]) / modes.std
    assert_close(residual.mean(0), torch.zeros(2, dtype=torch.float64), atol=0.03, rtol=0)
    assert_close(residual.T.cov(), torch.eye(2, dtype=torch.float64), atol=0.05, rtol=0)


def test_the_density_of_gaussian_modes_integrates_to_one_and_is_that_of_the_samples():
    axis = torch.linspace(-10, 10, 401, dtype=torch.float64)
    points = torch.cartesian_prod(axis, axis + 2)
    assert_close(toys.BLOBS.log_prob(points).exp().sum().item() * 0.05**2, 1.0)
    x, _ = toys.RING.sample(20_000, generator=generator())
    entropy = math.log(8) + math.log(2 * math.pi * math.e * 0.02**2)  # the modes do not touch
    assert abs(toys.RING.log_prob(x.double()).mean().item() + entropy) < 0.03


def test_two_moons_lie_on_their_half_circles():
    x, label = toys.two_moons(1000, noise=0.0, generator=generator())
    centre = torch.tensor([[0.0, 0.0], [1.0, 0.5]])[label]
    assert_close((x - centre).norm(dim=1), torch.ones(1000))
    assert (x[label == 0][:, 1] >= -1e-6).all()
    assert (x[label == 1][:, 1] <= 0.5 + 1e-6).all()


def test_eight_states_come_as_often_as_their_table_says():
    assert math.isclose(sum(toys.EIGHT_STATES), 1)
    bits, state = toys.eight_states(100_000, generator=generator())
    assert_close((bits * torch.tensor([4, 2, 1])).sum(1), state)
    share = state.bincount(minlength=8) / 100_000
    assert_close(share, torch.tensor(toys.EIGHT_STATES), atol=0.006, rtol=0)
    assert len(toys.bits_of_states(torch.arange(8)).unique(dim=0)) == 8
