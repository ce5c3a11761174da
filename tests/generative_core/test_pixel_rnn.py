"""Row LSTM, diagonal BiLSTM and multi-scale PixelRNN: what they see of the past, and exact probabilities."""

import pytest
import torch
from torch.testing import assert_close

from generative_core import (
    MADE,
    Bernoulli,
    Categorical,
    DiagonalBiLSTM,
    DiscretisedLogisticMixture,
    Gaussian,
    MultiScalePixelRNN,
    RowLSTM,
)
from generative_core.autoregressive.diagonal_bilstm import DiagonalLayer, diagonals
from generative_core.autoregressive.protocols import continue_from
from generative_core.nets.lstm import lstm_step
from tests.generative_core.pixel_laws import (
    all_images,
    assert_draws_follow,
    assert_raster_causal,
    assert_sees_entire_past,
    assert_sums_to_one,
    dependencies,
    enlarge_weights,
    field_of_view,
    seeded,
)


def rnn(make, shape=(1, 3, 3), seed: int = 0, **knobs):
    torch.manual_seed(seed)
    return enlarge_weights(make(shape, **{"channels": 12, "layers": 2, **knobs}))


def multi_scale(shape=(1, 4, 4), factor: int = 2, seed: int = 0, layers: int = 1, **knobs) -> MultiScalePixelRNN:
    torch.manual_seed(seed)
    small_shape = (shape[0], shape[1] // factor, shape[2] // factor)
    small = DiagonalBiLSTM(small_shape, channels=12, layers=1, **knobs)
    model = MultiScalePixelRNN(shape, small=small, channels=12, layers=layers, guide_channels=4)
    return enlarge_weights(model)


def test_an_lstm_step_is_torchs():
    torch.manual_seed(0)
    cell = torch.nn.LSTMCell(3, 4).double()
    x, h, c = (torch.randn(5, width, dtype=torch.float64, generator=seeded()) for width in (3, 4, 4))
    i, f, g, o = (x @ cell.weight_ih.T + cell.bias_ih + h @ cell.weight_hh.T + cell.bias_hh).chunk(4, dim=1)
    assert_close(lstm_step(torch.cat([o, f, i, g], dim=1), c, dim=1), cell(x, (h, c)))


def test_diagonals_hold_every_pixel_once_and_those_before_it_earlier():
    order, spans = diagonals(3, 4)
    assert order.tolist() == [0, 1, 4, 2, 5, 8, 3, 6, 9, 7, 10, 11]
    assert spans == [(0, 1), (0, 2), (0, 3), (0, 3), (1, 3), (2, 3)]


@pytest.mark.parametrize("shape", [(3, 4), (4, 3), (1, 4), (4, 1)])
def test_a_diagonal_layer_is_the_recurrence_pixel_by_pixel(shape):
    """State (i, j) from (i, j - 1) and (i - 1, j), or mirrored; the mirrored map a row down; zero states outside."""
    torch.manual_seed(0)
    layer, (height, width), h = DiagonalLayer(8, 1, 0).double(), shape, 4
    x, y = (torch.randn(2, k, height, width, dtype=torch.float64, generator=seeded()) for k in (1, 8))
    gates = layer.input_to_state(y)
    gates[:, 4 * h :] = gates[:, 4 * h :] + layer.itself(x)
    told = torch.zeros(2, h, height, width, dtype=torch.float64)
    nothing = torch.zeros(2, h, dtype=torch.float64)
    for direction, columns in ((0, range(width)), (1, range(width - 1, -1, -1))):
        states: dict[tuple[int, int], tuple] = {}
        for i in range(height):
            for j in columns:
                h_beside, c_beside = states.get((i, j - 1 if direction == 0 else j + 1), (nothing, nothing))
                h_above, _ = states.get((i - 1, j), (nothing, nothing))
                past = torch.cat([h_beside, h_above], dim=1) @ layer.state_to_state[direction]
                own = gates[:, direction * 4 * h : (direction + 1) * 4 * h, i, j]
                states[i, j] = lstm_step(own + past, c_beside, dim=1)
                row = i if direction == 0 else i + 1
                if row < height:
                    told[:, :, row, j] += states[i, j][0]
    assert_close(layer(y, x), y + layer.output(told))


@pytest.mark.parametrize("make", [RowLSTM, DiagonalBiLSTM])
@pytest.mark.parametrize("conditional", [Bernoulli(), Categorical(5), DiscretisedLogisticMixture(2, 5)])
def test_no_law_sees_its_own_element_or_a_later_one(make, conditional):
    assert_raster_causal(rnn(make, (1, 4, 5), conditional=conditional))


@pytest.mark.parametrize("make", [RowLSTM, DiagonalBiLSTM])
def test_colours_see_the_ones_before_them_in_their_own_pixel(make):
    model = rnn(make, (3, 2, 3), conditional=Categorical(4))
    assert_raster_causal(model)
    blue = 2 * 6 + 5
    assert field_of_view(model, blue)[:, -1, -1].tolist() == [True, True, False]


def test_one_diagonal_layer_sees_the_entire_past():
    assert_sees_entire_past(rnn(DiagonalBiLSTM, (1, 6, 8), layers=1, channels=8))


@pytest.mark.parametrize("layers", [1, 2])
def test_the_row_lstm_sees_a_triangle(layers):
    """r rows above (i, j) the columns j - r - 3 - layers to j + r + 2, in its own row the last 3 + layers."""
    height, width, row, column = 4, 18, 3, 9
    view = field_of_view(rnn(RowLSTM, (1, height, width), layers=layers), row * width + column)[0]
    above, j = row - torch.arange(height).unsqueeze(1), torch.arange(width)
    right = torch.where(above == 0, column - 1, column + above + 2)
    triangle = (j >= column - above - 3 - layers) & (j <= right)
    assert torch.equal(view, triangle)


@pytest.mark.parametrize("make", [RowLSTM, DiagonalBiLSTM])
@pytest.mark.parametrize("shape", [(1, 3, 3), (1, 2, 4)])
def test_probabilities_of_all_images_sum_to_one(make, shape):
    assert_sums_to_one(rnn(make, shape), all_images(shape))


@pytest.mark.parametrize("make", [RowLSTM, DiagonalBiLSTM])
def test_probabilities_of_all_colour_images_sum_to_one(make):
    model = rnn(make, (3, 1, 2), conditional=Categorical(3), context_features=1)
    assert_sums_to_one(model, all_images((3, 1, 2), (-1.0, 0.0, 1.0)), torch.ones(1, dtype=torch.float64))


@pytest.mark.parametrize("make", [RowLSTM, DiagonalBiLSTM])
def test_draws_follow_the_probabilities(make):
    assert_draws_follow(rnn(make, (1, 2, 3)))


def test_the_two_scales_of_a_multi_scale_model_multiply_to_a_distribution():
    """p(x | x_s) sums to one for every x_s, p(x_s) over all x_s, and so p(x) over all x."""
    model = multi_scale((1, 2, 4))
    images = all_images((1, 2, 4))
    log_prob_small, log_prob_rest = model.log_prob_by_scale(images)
    assert_sums_to_one(model, images)
    for small in all_images((1, 1, 2)):
        matches = (model.sub_grid(images) == small).flatten(1).all(dim=1)
        assert matches.sum() == 2**6
        assert_close(log_prob_rest[matches].exp().sum().item(), 1.0)
        assert_close(log_prob_small[matches], model.small.log_prob(small.expand(64, 1, 1, 2)))
    assert_close(model.log_prob(images), log_prob_small + log_prob_rest)


def test_the_rest_sees_all_of_the_sub_grid_and_all_of_its_own_past():
    model = multi_scale((1, 6, 6), factor=3)
    n_small = 4
    seen = dependencies(model)[n_small:]  # the rows of the rest
    assert seen[:, :n_small].all()
    assert torch.equal(seen[:, n_small:], torch.ones(32, 32, dtype=torch.bool).tril(-1))


def test_the_order_begins_with_the_sub_grid():
    assert multi_scale((1, 4, 4)).order.tolist() == [0, 2, 8, 10, 1, 3, 4, 5, 6, 7, 9, 11, 12, 13, 14, 15]


def test_draws_of_two_scales_follow_the_probabilities_of_their_context():
    assert_draws_follow(multi_scale((1, 2, 4), context_features=2), torch.tensor([1.0, -1.0], dtype=torch.float64))


def test_a_known_sub_grid_is_kept_and_continued():
    model = multi_scale((1, 4, 4))
    x = all_images((1, 2, 2))[5].expand(7, 1, 2, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    y = continue_from(model, x, 4, generator=seeded())
    assert torch.equal(model.sub_grid(y), model.sub_grid(x))
    assert not torch.equal(y, x)


def test_scales_can_be_nested_and_the_smallest_be_any_autoregressive_model():
    torch.manual_seed(0)
    smallest = MADE((1, 1, 2), hidden=(4,))
    middle = MultiScalePixelRNN((1, 2, 4), small=smallest, channels=4, layers=1, guide_channels=2)
    model = MultiScalePixelRNN((1, 4, 8), small=middle, channels=4, layers=1, guide_channels=2).double()
    assert model.order.sort().values.tolist() == list(range(32))
    x = model.sample(3, generator=seeded())
    parts = [smallest.log_prob(x[..., ::4, ::4]), middle.log_prob_by_scale(x[..., ::2, ::2])[1]]
    assert_close(model.log_prob(x), sum(parts) + model.log_prob_by_scale(x)[1])


@pytest.mark.parametrize("small_shape", [(1, 4, 4), (1, 2, 1), (3, 2, 2)])
def test_a_sub_grid_that_does_not_fit_is_refused(small_shape):
    with pytest.raises(ValueError, match="small must be over"):
        MultiScalePixelRNN((1, 4, 4), small=RowLSTM(small_shape, channels=6), channels=6)


def test_a_small_model_without_an_order_is_refused():
    with pytest.raises(ValueError, match="autoregressive"):
        MultiScalePixelRNN((1, 4, 4), small=Gaussian((1, 2, 2)), channels=6)


@pytest.mark.parametrize("make", [RowLSTM, DiagonalBiLSTM])
def test_features_that_cannot_be_shared_out_are_refused(make):
    with pytest.raises(ValueError, match="multiple of 6"):
        make((3, 4, 4), channels=8)
