"""The judge: learns, is the same for the same seed, is kept, and a damaged file is made anew."""

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.testing import assert_close

from generative_core import metrics
from generative_core.metrics import JudgeCNN, JudgeConfig, load_judge, train_judge
from generative_core.metrics.judges import weights_sha256

FAST = JudgeConfig(epochs=1, batch_size=32)


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x, labels, x_test, labels_test: 8 x 8 in [-1, 1]."""
    bunch = load_digits()
    x = torch.from_numpy(bunch.images).float()[:, None] / 8 - 1
    labels = torch.from_numpy(bunch.target).long()
    return x[:1400], labels[:1400], x[1400:], labels[1400:]


@pytest.fixture(scope="module")
def judge(digits) -> JudgeCNN:
    return train_judge(digits[0], digits[1], n_classes=10, config=JudgeConfig(epochs=4, batch_size=64))


def test_judge_learns_the_digits(judge, digits):
    assert metrics.accuracy(judge, *digits[2:]) > 0.92
    assert not judge.training


def test_judge_separates_shifted_images_from_real_ones(judge, digits):
    x, _, x_test, labels_test = digits
    real, test = (metrics.in_batches(judge.features, side) for side in (x[:397], x_test))
    shifted = metrics.in_batches(judge.features, x_test.roll(3, dims=3))
    assert metrics.frechet_distance(real, shifted) > 5 * metrics.frechet_distance(real, test)
    assert real.min() >= 0
    assert metrics.accuracy(judge, x_test, (labels_test + 1) % 10) < 0.05
    assert metrics.inception_score(metrics.in_batches(judge, x_test)) > 7


def test_fid_with_the_judge_is_the_frechet_distance_of_its_features(judge, digits):
    class Features(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return judge.double().features(x.double())

    x, x_test = digits[0][:300], digits[2][:300].flip(2)
    ours = metrics.frechet_distance(judge.double().features(x.double()), judge.features(x_test.double()))
    judge_value = metrics.fid(x, x_test, Features())
    judge.float()
    assert_close(judge_value, ours, rtol=1e-4, atol=0)


def test_judge_is_the_same_for_the_same_seed_and_draws_nothing_global(digits):
    x, labels = digits[0][:200], digits[1][:200]
    before = torch.get_rng_state()
    first = weights_sha256(train_judge(x, labels, n_classes=10, config=FAST))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(123)
    assert weights_sha256(train_judge(x, labels, n_classes=10, config=FAST)) == first
    other = JudgeConfig(epochs=1, batch_size=32, seed=1)
    assert weights_sha256(train_judge(x, labels, n_classes=10, config=other)) != first


def test_judge_works_in_float64_and_for_odd_sides_and_colours():
    x = torch.randn(40, 3, 7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    net = train_judge(x, torch.arange(40) % 2, n_classes=2, config=FAST)
    assert net.features(x).dtype == torch.float64
    assert net(x).shape == (40, 2)


def test_features_lead_to_the_logits(judge, digits):
    x = digits[2][:8]
    assert_close(judge.head(judge.features(x)), judge(x))


def test_in_batches_is_the_whole_and_has_no_gradients(judge, digits):
    x = digits[2][:50]
    assert_close(metrics.in_batches(judge.features, x, batch_size=7), judge.features(x).detach())
    assert not metrics.in_batches(judge, x).requires_grad


# -- the cache ---------------------------------------------------------------------------------------------------------


def arguments(digits) -> dict:
    x, labels, x_test, labels_test = digits
    small = {"x": x[:200], "labels": labels[:200], "x_test": x_test, "labels_test": labels_test}
    return {**small, "n_classes": 10, "config": FAST}


def test_judge_is_kept_and_read_again(digits, tmp_path):
    epochs = []
    kept = load_judge(**arguments(digits), folder=tmp_path, on_epoch=lambda *args: epochs.append(args))
    again = load_judge(**arguments(digits), folder=tmp_path, on_epoch=lambda *args: epochs.append(args))
    assert len(epochs) == 1
    assert epochs[0][0] == 1
    assert again[1:] == kept[1:]
    assert weights_sha256(again.net) == kept.sha256
    x_test = digits[2]
    assert torch.equal(kept.net(x_test), again.net(x_test))
    assert not again.net.training
    assert kept.test_accuracy == metrics.accuracy(again.net, x_test, digits[3])
    assert len(list(tmp_path.iterdir())) == 1


def test_a_kept_judge_is_tested_on_the_events_at_hand(digits, tmp_path):
    load_judge(**arguments(digits), folder=tmp_path)
    wrong = {"labels_test": (digits[3] + 1) % 10}
    again = load_judge(**(arguments(digits) | wrong), folder=tmp_path)
    assert again.test_accuracy == metrics.accuracy(again.net, digits[2], wrong["labels_test"])
    assert len(list(tmp_path.iterdir())) == 1


def test_other_data_labels_or_settings_are_another_judge(digits, tmp_path):
    base = arguments(digits)
    changes = [
        {},
        {"x": base["x"].flip(0)},
        {"labels": base["labels"].flip(0)},
        {"config": JudgeConfig(epochs=1, batch_size=32, seed=1)},
        {"n_classes": 11},
    ]
    for i, change in enumerate(changes):
        load_judge(**{**base, **change}, folder=tmp_path)
        assert len(list(tmp_path.iterdir())) == i + 1


@pytest.mark.parametrize("damage", ["cut", "flipped", "not safetensors"])
def test_a_damaged_file_is_made_anew_with_a_warning(digits, tmp_path, damage):
    kept = load_judge(**arguments(digits), folder=tmp_path)
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[-1] ^= 1
    path.write_bytes({"cut": content[:-100], "flipped": content, "not safetensors": b"x" * 100}[damage])
    with pytest.warns(UserWarning, match="damaged"):
        again = load_judge(**arguments(digits), folder=tmp_path)
    assert again.sha256 == kept.sha256
    assert load_judge(**arguments(digits), folder=tmp_path).sha256 == kept.sha256  # without a warning


def test_a_folder_that_cannot_be_written_is_done_without(digits, tmp_path):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    with pytest.warns(UserWarning, match="not kept"):
        judge = load_judge(**arguments(digits), folder=in_the_way)
    assert judge.test_accuracy > 0.1


def test_what_cannot_be_judged_is_named(digits):
    x, labels = digits[0][:64], digits[1][:64]
    with pytest.raises(ValueError, match="images"):
        JudgeCNN((5,), n_classes=2)
    with pytest.raises(ValueError, match=r"labels must be 0 \.\. 4"):
        train_judge(x, labels, n_classes=5)
    with pytest.raises(ValueError, match="batch of 128"):
        train_judge(x, labels, n_classes=10)
