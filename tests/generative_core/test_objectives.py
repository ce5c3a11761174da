"""Signs, known values and minimisers of the two-player losses; closed forms of the penalties."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from generative_core import objectives

CRITIC_LOSSES = [
    objectives.bce_critic_loss,
    objectives.hinge_critic_loss,
    objectives.least_squares_critic_loss,
    objectives.wasserstein_critic_loss,
]
GENERATOR_LOSSES = [
    objectives.bce_generator_loss,
    objectives.bce_generator_loss_saturating,
    objectives.hinge_generator_loss,
    objectives.least_squares_generator_loss,
    objectives.wasserstein_generator_loss,
]


@pytest.mark.parametrize("loss", CRITIC_LOSSES)
def test_critic_loss_pushes_data_up_and_model_down(loss):
    logit_data = torch.tensor([0.3, -0.2], dtype=torch.float64, requires_grad=True)
    logit_model = torch.tensor([0.1, -0.4, 0.6], dtype=torch.float64, requires_grad=True)
    loss(logit_data, logit_model).backward()
    assert (logit_data.grad < 0).all()
    assert (logit_model.grad > 0).all()


@pytest.mark.parametrize("loss", GENERATOR_LOSSES)
def test_generator_loss_pushes_model_up(loss):
    logit_model = torch.tensor([0.1, -0.4, 0.6], dtype=torch.float64, requires_grad=True)
    loss(logit_model).backward()
    assert (logit_model.grad < 0).all()


@pytest.mark.parametrize(
    ("loss", "undecided", "sure"),
    [
        (objectives.bce_critic_loss, math.log1p(math.exp(-0.5)) + math.log1p(math.exp(0.25)), 0.0),
        (objectives.hinge_critic_loss, 0.5 + 1.25, 0.0),
        (objectives.least_squares_critic_loss, 0.5 * (0.5**2 + 1.25**2), 0.5 * (99**2 + 99**2)),
        (objectives.wasserstein_critic_loss, -0.25, -200.0),
    ],
)
def test_critic_loss_at_known_logits(loss, undecided, sure):
    """data 1/2 against model 1/4, and data 100 against model -100."""
    assert_close(loss(torch.tensor([0.5, 0.5]).double(), torch.tensor([0.25]).double()).item(), undecided)
    assert_close(loss(torch.tensor([100.0]).double(), torch.tensor([-100.0, -100.0]).double()).item(), sure)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (objectives.bce_generator_loss, math.log1p(math.exp(1))),
        (objectives.bce_generator_loss_saturating, -math.log1p(math.exp(-1))),
        (objectives.hinge_generator_loss, 1.0),
        (objectives.least_squares_generator_loss, 2.0),
        (objectives.wasserstein_generator_loss, 1.0),
    ],
)
def test_generator_loss_where_model_has_minus_one(loss, expected):
    assert_close(loss(torch.tensor([-1.0, -1.0], dtype=torch.float64)), torch.tensor(expected, dtype=torch.float64))


def test_an_undecided_critic_has_loss_log_four():
    assert_close(objectives.bce_critic_loss(torch.zeros(3), torch.zeros(5)), torch.tensor(math.log(4)))


@pytest.mark.parametrize(
    ("loss", "optimum"),
    [
        (objectives.bce_critic_loss, lambda p, q: (p / q).log()),
        (objectives.least_squares_critic_loss, lambda p, q: (p - q) / (p + q)),
    ],
)
def test_critic_loss_is_minimal_at_its_known_optimum(loss, optimum):
    """Two discrete laws over three states, as batches of 10 with exact frequencies: the minimum is in closed form."""
    data, model = torch.tensor([0] * 5 + [1] * 3 + [2] * 2), torch.tensor([0] * 1 + [1] * 3 + [2] * 6)
    p, q = data.bincount().double() / 10, model.bincount().double() / 10
    logit = optimum(p, q).requires_grad_(True)
    loss(logit[data], logit[model]).backward()
    assert_close(logit.grad, torch.zeros(3, dtype=torch.float64))
    best = loss(logit[data], logit[model])
    for state in range(3):
        for delta in (-0.1, 0.1):
            moved = logit.detach().clone()
            moved[state] += delta
            assert loss(moved[data], moved[model]) > best


def test_loss_of_the_best_critic_is_log_four_minus_two_jensen_shannon():
    data, model = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1, 1, 1])
    p, q = torch.tensor([0.75, 0.25]), torch.tensor([0.25, 0.75])
    logit, mean = (p / q).log(), (p + q) / 2
    jensen_shannon = 0.5 * (p * (p / mean).log() + q * (q / mean).log()).sum()
    assert_close(objectives.bce_critic_loss(logit[data], logit[model]), math.log(4) - 2 * jensen_shannon)


@pytest.mark.parametrize("probability", [0.5, 0.1, 0.9, 1e-3])
def test_entropy_is_that_of_a_coin(probability):
    p = torch.tensor([probability], dtype=torch.float64)
    expected = -p * p.log() - (1 - p) * (1 - p).log()
    assert_close(objectives.logit_entropy(torch.logit(p)), expected.squeeze())


def test_entropy_of_sure_logits_is_zero_and_its_mean_is_over_the_batch():
    assert objectives.logit_entropy(torch.tensor([1e4, -1e4])) == 0
    assert_close(objectives.logit_entropy(torch.tensor([0.0, 1e4])), torch.tensor(math.log(2) / 2))


def test_entropy_rises_towards_the_undecided_logit():
    logit = torch.tensor([2.0, -2.0], requires_grad=True)
    objectives.logit_entropy(logit).backward()
    assert logit.grad[0] < 0 < logit.grad[1]


@pytest.mark.parametrize("target", [0.0, 1.0, 2.0])
def test_gradient_penalty_of_a_linear_critic_has_its_closed_form(target):
    """Penalty (||w|| - t)^2, its slope in w 2 (||w|| - t) w / ||w||."""
    w = torch.tensor([3.0, -4.0], dtype=torch.float64, requires_grad=True)
    x_data, x_model = torch.randn(2, 6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    penalty = objectives.gradient_penalty(lambda x: x @ w + 7, x_data, x_model, target=target)
    assert_close(penalty.detach(), torch.tensor((5 - target) ** 2, dtype=torch.float64))
    penalty.backward()
    assert_close(w.grad, (2 * (5 - target) / 5 * w).detach())


def test_gradient_penalty_measures_images_as_one_vector():
    x = torch.zeros(4, 2, 3, 3, dtype=torch.float64)
    penalty = objectives.gradient_penalty(lambda image: image.sum((1, 2, 3)), x, x, target=0.0)
    assert_close(penalty.detach(), torch.tensor(18.0, dtype=torch.float64))


def test_gradient_penalty_mixes_each_pair_by_one_random_number():
    seen: list[Tensor] = []

    def logit(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.sum((1, 2))

    x_data, x_model = torch.ones(64, 2, 3), torch.zeros(64, 2, 3)
    objectives.gradient_penalty(logit, x_data, x_model, generator=torch.Generator().manual_seed(0))
    alpha = seen[0].flatten(1)
    assert_close(alpha, alpha[:, :1].expand(-1, 6))
    assert alpha.min() >= 0
    assert alpha.max() <= 1
    assert alpha[:, 0].std() > 0.2  # 0.29 for a uniform law
    assert abs(alpha[:, 0].mean() - 0.5) < 0.1


def test_gradient_penalty_is_a_mean_over_samples():
    """logit = ||x||^2 / 2 has slope x: with both sides equal there is nothing random left."""
    x = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    assert_close(objectives.gradient_penalty(lambda z: 0.5 * z.square().sum(1), x, x).detach(), torch.tensor(8.0))


def test_gradient_penalty_of_a_flat_critic_has_a_finite_slope():
    w = torch.zeros(2, requires_grad=True)
    objectives.gradient_penalty(lambda x: x @ w, torch.ones(3, 2), torch.zeros(3, 2)).backward()
    assert torch.isfinite(w.grad).all()


def test_gradient_penalty_refuses_unequal_batches():
    with pytest.raises(ValueError, match="batches of one size"):
        objectives.gradient_penalty(lambda x: x.sum(1), torch.ones(3, 2), torch.ones(1, 2))


def test_r1_penalty_of_a_linear_critic_is_half_its_squared_slope():
    w = torch.tensor([3.0, -4.0], requires_grad=True)
    penalty = objectives.r1_penalty(lambda x: x @ w, torch.randn(5, 2, generator=torch.Generator().manual_seed(0)))
    assert_close(penalty.detach(), torch.tensor(12.5))
    penalty.backward()
    assert_close(w.grad, w.detach())


def test_r1_penalty_is_taken_at_the_data():
    x = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    assert_close(objectives.r1_penalty(lambda z: 0.5 * z.square().sum(1), x).detach(), torch.tensor(6.5))
