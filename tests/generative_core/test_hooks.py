"""What the hooks leave behind: numbers, pictures, event files."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from generative_core import (
    ExponentialMovingAverage,
    Gaussian,
    MetricHistory,
    PreviewGrid,
    ProgressBar,
    TensorBoard,
    fit,
)
from generative_core.adversarial.gan import GAN
from generative_core.training.hooks import image_grid
from tests.generative_core.test_fit import CountingStep

BATCHES = itertools.repeat((torch.zeros(1),))


def test_history_keeps_every_nth_update():
    history = MetricHistory(every=3)
    fit(CountingStep(), BATCHES, 8, [history])
    assert history.steps == [0, 3, 6]
    assert history.values == {"loss": [1.0, 4.0, 7.0]}


def test_image_grid_places_each_image_and_maps_the_range():
    images = torch.stack([torch.full((1, 2, 3), value) for value in (-1.0, 0.0, 1.0)])
    grid = image_grid(images)
    assert grid.shape == (4, 6, 3)
    assert (grid[:2, :3] == 0).all()
    assert np.isin(grid[:2, 3:], (127, 128)).all()
    assert (grid[2:, :3] == 255).all()
    assert (grid[2:, 3:] == 0).all()  # no fourth image


def test_image_grid_keeps_rows_columns_and_channels():
    image = torch.zeros(1, 3, 2, 2)
    image[0, 1, 0, 1] = 5.0  # green, top right, out of range
    image[0, 0, 1, 0] = -5.0
    grid = image_grid(image)
    assert grid[0, 1, 1] == 255
    assert grid[1, 0, 0] == 0
    assert set(np.delete(grid.ravel(), [0 * 6 + 3 + 1, 6 + 0]).tolist()) <= {127, 128}


def test_previews_are_the_same_noise_each_time_and_leave_the_random_state(tmp_path):
    from matplotlib.image import imread

    gan = GAN((1, 4, 5), latent=2, hidden=(4,), output_activation=nn.Tanh)
    before = torch.get_rng_state()
    fit(CountingStep(), BATCHES, 6, [PreviewGrid(gan, tmp_path, every=3, n=4)])
    assert torch.equal(torch.get_rng_state(), before)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["samples-0000003.png", "samples-0000006.png"]
    first, second = (imread(file) for file in files)
    assert first.shape[:2] == (8, 10)
    np.testing.assert_array_equal(first, second)


def test_a_model_of_buffers_alone_has_previews_too(tmp_path):
    model = Gaussian((1, 4, 5)).fit(torch.randn(50, 1, 4, 5, generator=torch.Generator().manual_seed(0)))
    fit(CountingStep(), BATCHES, 1, [PreviewGrid(model, tmp_path, every=1, n=4)])
    assert (tmp_path / "samples-0000001.png").is_file()


def test_previews_of_what_is_no_image_are_refused(tmp_path):
    with pytest.raises(ValueError, match="images"):
        PreviewGrid(GAN((2,)), tmp_path, every=1)


def test_tensorboard_holds_the_scalars(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    fit(CountingStep(), BATCHES, 5, [TensorBoard(tmp_path, every=2)])
    events = EventAccumulator(str(tmp_path)).Reload().Scalars("loss")
    assert [(event.step, event.value) for event in events] == [(0, 1.0), (2, 3.0), (4, 5.0)]


def test_progress_bar_counts_to_the_end(capsys):
    fit(CountingStep(), BATCHES, 5, [ProgressBar(5)])
    assert "5/5" in capsys.readouterr().out


def test_moving_average_follows_its_recursion():
    model = nn.Linear(1, 1, bias=False)
    model.register_buffer("count", torch.zeros(()))
    with torch.no_grad():
        model.weight.fill_(0.0)
    ema = ExponentialMovingAverage(model, decay=0.15)
    slow = 0.0
    for k in range(5):
        with torch.no_grad():
            model.weight.fill_(k + 1.0)
            model.count.fill_(k)
        ema(k, {})
        decay = min(0.15, (1 + k) / (10 + k))
        slow = decay * slow + (1 - decay) * (k + 1.0)
        assert_close(ema.model.weight.item(), slow)
        assert ema.model.count == k
    assert not ema.model.weight.requires_grad
    assert model.weight.requires_grad
