"""The critic finds the log-ratio of two known laws, and one update does what it says."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from generative_core import CriticStep, LogitFromScore, MLPCritic, ScoreKind, objectives
from tests.generative_core.toys import ToyGaussian


def two_sides(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """data N(0.5, 1), model N(-0.5, 0.8^2)."""
    noise = torch.randn(2, n, 1, generator=generator)
    return noise[0] + 0.5, 0.8 * noise[1] - 0.5


def true_log_ratio(x: Tensor) -> Tensor:
    data, model = torch.distributions.Normal(0.5, 1.0), torch.distributions.Normal(-0.5, 0.8)
    return (data.log_prob(x) - model.log_prob(x)).squeeze(1)


def trained_on_two_sides(critic, n_steps: int, lr: float, loss=objectives.bce_critic_loss):
    generator = torch.Generator().manual_seed(0)
    critic.update_normaliser(torch.cat(two_sides(4096, generator)))
    step = CriticStep(critic, lr=lr, loss=loss, gradient_penalty=0.0, entropy_bonus=0.0)
    for i in range(n_steps):
        step.lr = lr * (1 - i / n_steps)
        step(*two_sides(1024, generator))
    return critic.eval()


def test_a_trained_critic_is_the_log_ratio_of_two_gaussians():
    torch.manual_seed(0)
    critic = trained_on_two_sides(MLPCritic((1,), hidden=(32, 32)), n_steps=500, lr=1e-2)
    x = torch.linspace(-2, 2, 81).unsqueeze(1)  # holds 93 % of either side's mass
    with torch.no_grad():
        logit = critic.logit(x)
    assert (logit - true_log_ratio(x)).abs().max() < 0.2
    assert (torch.sigmoid(logit) - torch.sigmoid(true_log_ratio(x))).abs().max() < 0.05  # D against D*


def test_a_trained_least_squares_critic_is_two_d_star_minus_one():
    torch.manual_seed(0)
    critic = MLPCritic((1,), hidden=(32, 32), score_kind=ScoreKind.CRITIC_VALUE)
    trained_on_two_sides(critic, n_steps=400, lr=1e-2, loss=objectives.least_squares_critic_loss)
    x = torch.linspace(-2, 2, 81).unsqueeze(1)
    assert (critic.score(x) - (2 * torch.sigmoid(true_log_ratio(x)) - 1)).abs().max() < 0.1


def test_a_density_becomes_a_log_ratio_by_scale_and_offset():
    """data N(1, 1) against model N(1, 2^2): the ratio is -3/8 (x - 1)^2 + log 2, 3/4 of the score + a constant."""
    scorer = ToyGaussian([1.0]).requires_grad_(False)
    critic = LogitFromScore(scorer)
    step = CriticStep(critic, lr=1e-1, gradient_penalty=0.0, entropy_bonus=0.0)
    generator = torch.Generator().manual_seed(0)
    for i in range(300):
        step.lr = 1e-1 * (1 - i / 300)
        step(1 + torch.randn(1024, 1, generator=generator), 1 + 2 * torch.randn(1024, 1, generator=generator))
    assert_close(critic.log_scale.exp().item(), 0.75, atol=0.05, rtol=0)
    assert_close(critic.offset.item(), math.log(2) + 0.375 * math.log(2 * math.pi), atol=0.05, rtol=0)


def test_the_context_takes_part_in_the_judgement():
    """Both sides have the same x and the same context, paired in one way or the other: only together do they tell."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    critic = MLPCritic((1,), context_features=1, hidden=(16,))
    step = CriticStep(critic, lr=1e-2, gradient_penalty=0.0, entropy_bonus=0.0)
    for _ in range(150):
        x = torch.randn(256, 1, generator=generator)
        metrics = step(x, x, x, -x)
    assert metrics["accuracy"] > 0.95


def linear_critic(weight: list[float], bias: float = 0.0) -> MLPCritic:
    """logit = w . normalise(x) + b."""
    critic = MLPCritic((len(weight),), hidden=())
    layer = critic.net.layers[0]
    assert isinstance(layer, nn.Linear)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([weight]))
        layer.bias.fill_(bias)
    return critic


def test_the_penalty_is_measured_on_normalised_inputs():
    critic = linear_critic([3.0, 4.0])
    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0)) * 1000 + 5
    critic.update_normaliser(x)
    metrics = CriticStep(critic)(x[:32], x[32:])
    assert_close(metrics["gradient_penalty"], 16.0, atol=1e-3, rtol=0)  # (||w|| - 1)^2


def test_one_normaliser_standardises_event_and_context_and_drops_what_is_constant():
    critic = MLPCritic((2, 1), context_features=2, hidden=(4,))
    noise = torch.randn(500, 4, generator=torch.Generator().manual_seed(0))
    raw = noise * torch.tensor([1e-2, 1.0, 1e3, 0.0]) + torch.tensor([1.0, -5.0, 20.0, 7.0])
    critic.update_normaliser(raw[:, :2].unsqueeze(2), raw[:, 2:])
    features = critic.features(raw[:, :2].unsqueeze(2), raw[:, 2:])
    assert_close(features.mean(0), torch.zeros(4), atol=1e-4, rtol=0)
    assert_close(features.std(0, correction=0), torch.tensor([1.0, 1.0, 1.0, 0.0]), atol=1e-4, rtol=0)


def test_metrics_and_loss_of_a_known_critic():
    critic = linear_critic([1.0], bias=0.0)  # no update yet: the normaliser is the identity, so logit = x
    x, x_model = torch.tensor([[2.0], [-1.0], [3.0], [1.0]]), torch.tensor([[-1.0], [-2.0], [4.0], [0.0]])
    step = CriticStep(critic, gradient_penalty=0.0, entropy_bonus=0.5)
    metrics = step(x, x_model)
    assert metrics["accuracy_data"] == 0.75
    assert metrics["accuracy_model"] == 0.75  # a logit of zero does not look like the data
    assert metrics["accuracy"] == 0.75
    assert metrics["logit_data"] == 1.25
    assert metrics["logit_model"] == 0.25
    assert metrics["gradient_penalty"] == 0.0
    entropy = objectives.logit_entropy(torch.cat([x, x_model]).squeeze(1))
    loss = objectives.bce_critic_loss(x.squeeze(1), x_model.squeeze(1)) - 0.5 * entropy
    assert_close(metrics["entropy"], entropy.item())
    assert_close(metrics["loss"], loss.item())


def test_the_loss_adds_the_weighted_penalty():
    x, x_model = torch.ones(4, 1), torch.zeros(4, 1)
    plain = CriticStep(linear_critic([3.0]), gradient_penalty=0.0)(x, x_model)
    penalised = CriticStep(linear_critic([3.0]), gradient_penalty=10.0)(x, x_model)
    assert_close(penalised["loss"] - plain["loss"], 40.0)


def test_r1_and_the_logit_penalty_add_what_they_say():
    x, x_model = torch.full((4, 1), 2.0), torch.zeros(4, 1)
    plain, r1, logit = (
        CriticStep(linear_critic([3.0]), gradient_penalty=0.0, **more)(x, x_model)["loss"]
        for more in ({}, {"r1_penalty": 4.0}, {"logit_penalty": 0.5})
    )
    assert_close(r1 - plain, 4.0 / 2 * 3.0**2)
    assert_close(logit - plain, 0.5 * (6.0**2 + 0.0) / 2, rtol=1e-5, atol=1e-5)


def test_mixup_meets_cross_entropy_at_the_ends_and_holds_the_critic_back_between_them():
    logit = torch.tensor([1.5, -0.5, 0.3, -2.0])
    ends = torch.tensor([1.0, 1.0, 0.0, 0.0])
    assert_close(objectives.bce_mixup_loss(logit, ends), objectives.bce_critic_loss(logit[:2], logit[2:]))
    x, x_model = torch.ones(64, 1), -torch.ones(64, 1)

    def final_logit(mixup: bool) -> float:
        step = CriticStep(linear_critic([1.0]), lr=5e-2, gradient_penalty=0.0, entropy_bonus=0.0, mixup=mixup)
        return [step(x, x_model) for _ in range(300)][-1]["logit_data"]

    # the mix a * 1 - (1 - a) * 1 has share a, so the best line through 0 is finite: E[(2a - 1)(sigmoid - a)] = 0
    assert final_logit(mixup=True) < 4 < final_logit(mixup=False)


def test_mixup_wants_labels_and_equal_sides():
    with pytest.raises(ValueError, match="bce_critic_loss"):
        CriticStep(linear_critic([1.0]), loss=objectives.wasserstein_critic_loss, mixup=True)
    step = CriticStep(linear_critic([1.0]), gradient_penalty=0.0, mixup=True)
    with pytest.raises(ValueError, match="one size"):
        step(torch.ones(4, 1), torch.ones(3, 1))


def test_an_update_moves_the_logits_apart():
    x, x_model = torch.ones(8, 1), -torch.ones(8, 1)
    step = CriticStep(linear_critic([0.0]), gradient_penalty=0.0)
    first = [step(x, x_model) for _ in range(5)]
    assert first[-1]["logit_data"] > first[0]["logit_data"]
    assert first[-1]["logit_model"] < first[0]["logit_model"]


def test_the_entropy_bonus_holds_the_critic_back():
    x, x_model = torch.ones(8, 1), -torch.ones(8, 1)

    def final_entropy(bonus: float) -> float:
        step = CriticStep(linear_critic([2.0]), lr=1e-2, gradient_penalty=0.0, entropy_bonus=bonus)
        return [step(x, x_model) for _ in range(50)][-1]["entropy"]

    assert final_entropy(3.0) > final_entropy(0.0) + 0.05


def test_the_step_size_can_be_read_and_set():
    step = CriticStep(linear_critic([1.0]), lr=1e-3)
    assert step.lr == 1e-3
    step.lr = 0.0
    before = step.critic.logit(torch.ones(1, 1)).item()
    step(torch.ones(2, 1), torch.zeros(2, 1))
    assert step.critic.logit(torch.ones(1, 1)).item() == before


def test_the_gradient_norm_is_bounded():
    class Recorder(torch.optim.SGD):
        def step(self, closure=None):
            self.seen = torch.cat([p.grad.flatten() for p in self.param_groups[0]["params"]]).norm()

    step = CriticStep(linear_critic([30.0]), max_grad_norm=0.5)
    step.optimiser = Recorder(step.critic.parameters())
    step(torch.ones(2, 1), torch.zeros(2, 1))
    assert_close(step.optimiser.seen, torch.tensor(0.5))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_changes_nothing(bad):
    step = CriticStep(MLPCritic((2,), hidden=(4,), normalise=False))
    step(torch.ones(3, 2), torch.zeros(3, 2))
    before = [p.detach().clone() for p in step.critic.parameters()]
    with pytest.raises(FloatingPointError, match="bce_critic_loss"):
        step(torch.full((3, 2), bad), torch.full((3, 2), bad))
    assert all(torch.equal(a, b) for a, b in zip(before, step.critic.parameters(), strict=True))


@pytest.mark.parametrize("max_grad_norm", [None, 1.0])
def test_a_finite_loss_whose_gradient_is_not_finite_changes_nothing(max_grad_norm):
    """sqrt |logit| where the logit is zero."""
    step = CriticStep(
        linear_critic([0.0]),
        loss=lambda data, model: (data.abs().sqrt() + model.abs().sqrt()).mean(),
        gradient_penalty=0.0,
        max_grad_norm=max_grad_norm,
    )
    before = [p.detach().clone() for p in step.critic.parameters()]
    with pytest.raises(FloatingPointError, match="the norm of the gradient"):
        step(torch.ones(3, 1), torch.zeros(3, 1))
    assert all(torch.equal(a, b) for a, b in zip(before, step.critic.parameters(), strict=True))


def test_sides_that_do_not_match_are_refused():
    step = CriticStep(MLPCritic((2,), context_features=1, hidden=(4,)))
    with pytest.raises(ValueError, match="both sides"):
        step(torch.ones(3, 2), torch.ones(3, 2), torch.ones(3, 1))
    with pytest.raises(ValueError, match="1 context features"):
        step(torch.ones(3, 2), torch.ones(3, 2))
    with pytest.raises(ValueError, match="batches of one size"):
        step(torch.ones(3, 2), torch.ones(4, 2), torch.ones(3, 1), torch.ones(4, 1))


def test_sides_of_unequal_size_weigh_alike_without_a_penalty():
    x, x_model = torch.tensor([[1.0]]), torch.tensor([[-1.0]] * 9)
    metrics = CriticStep(linear_critic([2.0]), gradient_penalty=0.0, entropy_bonus=0.0)(x, x_model)
    assert_close(metrics["loss"], 2 * math.log1p(math.exp(-2)))
    assert metrics["accuracy"] == 1.0


def test_state_dict_resumes_to_the_bit():
    def fresh(seed: int) -> CriticStep:
        torch.manual_seed(seed)
        return CriticStep(MLPCritic((2,), hidden=(8,)), seed=seed)

    def run(step: CriticStep, start: int, stop: int) -> list[dict[str, float]]:
        return [step(*torch.randn(2, 16, 2, generator=torch.Generator().manual_seed(i))) for i in range(start, stop)]

    straight = fresh(seed=0)
    straight.critic.update_normaliser(3 + torch.randn(50, 2, generator=torch.Generator().manual_seed(9)))
    run(straight, 0, 5)
    resumed = fresh(seed=1)
    resumed.load_state_dict(copy.deepcopy(straight.state_dict()))
    assert run(resumed, 5, 10) == run(straight, 5, 10)
    assert run(fresh(seed=1), 5, 10) != run(resumed, 5, 10)
