"""PixelCNN: the mask, the field of view with its blind spot, and exact probabilities."""

import pytest
import torch
from torch.testing import assert_close

from generative_core import Bernoulli, Categorical, DiscretisedLogisticMixture, PixelCNN
from generative_core.nets.masked_conv import OffsetConv2d, masked_conv
from tests.generative_core.pixel_laws import (
    all_images,
    assert_draws_follow,
    assert_raster_causal,
    assert_sums_to_one,
    enlarge_weights,
    field_of_view,
    seeded,
)


def pixelcnn(shape=(1, 3, 3), seed: int = 0, **knobs) -> PixelCNN:
    torch.manual_seed(seed)
    return enlarge_weights(PixelCNN(shape, **{"channels": 12, "layers": 2, **knobs}))


@pytest.mark.parametrize("mask", ["A", "B"])
def test_a_masked_convolution_is_a_whole_one_whose_kernel_is_zero_from_the_mask_on(mask):
    torch.manual_seed(0)
    layer = masked_conv(6, 9, 5, mask=mask, n_groups=3).double()
    kernel = torch.zeros(9, 6, 5, 5, dtype=torch.float64)
    kernel[:, :, :3] = layer.conv.weight
    kernel[:, :, 2, 3:] = 0
    for f_out in range(9):
        for f_in in range(6):
            sees = f_in % 3 <= f_out % 3 if mask == "B" else f_in % 3 < f_out % 3
            kernel[f_out, f_in, 2, 2] *= sees
    x = torch.randn(2, 6, 7, 8, dtype=torch.float64, generator=seeded())
    expected = torch.nn.functional.conv2d(x, kernel, layer.conv.bias, padding=2)
    assert_close(layer(x), expected)


def test_an_offset_convolution_reads_its_window_only():
    layer = OffsetConv2d(1, 1, rows=(-2, -1), columns=(-1, 2))
    x = torch.zeros(1, 1, 7, 7, requires_grad=True)
    (grad,) = torch.autograd.grad(layer(x)[0, 0, 4, 3], x)
    expected = torch.zeros(7, 7, dtype=torch.bool)
    expected[2:4, 2:6] = True
    assert torch.equal(grad[0, 0] != 0, expected)


def test_offsets_after_the_pixel_are_refused():
    with pytest.raises(ValueError, match="rows"):
        OffsetConv2d(1, 1, rows=(-1, 1))
    with pytest.raises(ValueError, match="odd"):
        masked_conv(1, 1, 4, mask="A")


@pytest.mark.parametrize("conditional", [Bernoulli(), Categorical(5), DiscretisedLogisticMixture(2, 5)])
def test_no_law_sees_its_own_element_or_a_later_one(conditional):
    assert_raster_causal(pixelcnn((1, 4, 5), conditional=conditional))


def test_colours_see_the_ones_before_them_in_their_own_pixel():
    model = pixelcnn((3, 2, 3), conditional=Categorical(4))
    assert_raster_causal(model)
    green = 1 * 6 + 5  # at the last pixel
    view = field_of_view(model, green)[:, -1, -1]
    assert view.tolist() == [True, False, False]


@pytest.mark.parametrize("layers", [7, 10])
def test_the_blind_spot_stays_at_any_depth(layers):
    """r rows above, the pixels more than r + 2 columns to the right have gradient exactly zero; the rest is seen."""
    height, width, row, column = 6, 10, 5, 2
    view = field_of_view(pixelcnn((1, height, width), channels=16, layers=layers), row * width + column)[0]
    i, j = torch.arange(height).unsqueeze(1), torch.arange(width)
    is_past = (i < row) | ((i == row) & (j < column))
    is_blind = (j - column) > (row - i) + 2
    assert (is_past & is_blind).any()
    assert torch.equal(view, is_past & ~is_blind)


@pytest.mark.parametrize("shape", [(1, 3, 3), (1, 2, 4)])
@pytest.mark.parametrize("conditional", [Bernoulli(), Categorical(2)])
def test_probabilities_of_all_images_sum_to_one(shape, conditional):
    assert_sums_to_one(pixelcnn(shape, conditional=conditional), all_images(shape))


def test_probabilities_of_all_colour_images_sum_to_one():
    model = pixelcnn((3, 1, 2), conditional=Categorical(3), context_features=2)
    assert_sums_to_one(model, all_images((3, 1, 2), (-1.0, 0.0, 1.0)), torch.tensor([0.3, -1.0], dtype=torch.float64))


def test_draws_follow_the_probabilities():
    assert_draws_follow(pixelcnn((1, 2, 3)))


@pytest.mark.parametrize(
    ("shape", "knobs", "word"),
    [((784,), {}, "event_shape"), ((1, 28, 28), {"channels": 7}, "multiple of 2"), ((3, 4, 4), {"channels": 8}, "6")],
)
def test_wrong_arguments_are_refused_at_construction(shape, knobs, word):
    with pytest.raises(ValueError, match=word):
        PixelCNN(shape, **knobs)


def test_wrong_events_and_contexts_are_refused():
    model = PixelCNN((1, 3, 3), channels=4, layers=1, context_features=2)
    with pytest.raises(ValueError, match="events"):
        model.log_prob(torch.zeros(2, 1, 3, 4), torch.zeros(2, 2))
    with pytest.raises(ValueError, match="context"):
        model.log_prob(torch.zeros(2, 1, 3, 3))
    with pytest.raises(ValueError, match="context"):
        model.sample(2, torch.zeros(2, 3))
