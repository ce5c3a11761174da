"""Reward shapes, views, and the adversarial reward with its guard."""

import copy
import math

import numpy as np
import pytest
import torch

from gail_suite.reward.adversarial import AdversarialReward, ConstantReward, SaturationGuard
from gail_suite.reward.shaping import SHAPES
from gail_suite.reward.views import VIEWS
from generative_core import CriticStep, MLPCritic
from generative_core.protocols import ScoreKind
from tests.gail_suite.helpers import transitions

LOGITS = torch.linspace(-12, 12, 49, dtype=torch.float64)


def test_shapes_are_what_their_formulas_say():
    d = torch.sigmoid(LOGITS)
    torch.testing.assert_close(SHAPES["gail"].fn(LOGITS), -torch.log1p(-d))
    torch.testing.assert_close(SHAPES["log-d"].fn(LOGITS), torch.log(d))
    torch.testing.assert_close(SHAPES["airl"].fn(LOGITS), torch.log(d) - torch.log1p(-d), atol=1e-9, rtol=1e-6)
    assert SHAPES["fairl"].fn(torch.tensor(0.5)).item() == pytest.approx(-0.5 * math.exp(0.5))


def test_signs_say_whether_staying_alive_pays():
    assert (SHAPES["gail"].fn(LOGITS) >= 0).all()
    assert (SHAPES["log-d"].fn(LOGITS) <= 0).all()
    for name in ("gail", "log-d", "airl"):
        assert (SHAPES[name].fn(LOGITS).diff() > 0).all(), name  # more like the expert pays more


def test_score_of_another_kind_is_refused_with_the_remedy():
    critic = MLPCritic((5,), score_kind=ScoreKind.CRITIC_VALUE)
    with pytest.raises(ValueError, match=r"LOG_RATIO.*CRITIC_VALUE.*LogitFromScore"):
        AdversarialReward(CriticStep(critic), VIEWS["state-action"], SHAPES["gail"])


def test_views_take_what_their_names_say():
    batch = transitions(4)
    np.testing.assert_allclose(VIEWS["state-action"](batch), np.hstack([batch.obs, batch.acts]), rtol=1e-6)
    np.testing.assert_allclose(VIEWS["state"](batch), batch.obs, rtol=1e-6)
    np.testing.assert_allclose(VIEWS["state-next-state"](batch), np.hstack([batch.obs, batch.next_obs]), rtol=1e-6)


def make_reward(seed=0, **kwargs):
    torch.manual_seed(seed)
    step = CriticStep(MLPCritic((5,), hidden=(32,)), lr=1e-3, gradient_penalty=1.0, seed=seed)
    return AdversarialReward(step, VIEWS["state-action"], SHAPES["gail"], batch_size=64, seed=seed, **kwargs)


def test_reward_learns_to_prefer_the_expert():
    reward = make_reward(updates_per_round=50)
    expert, policy = transitions(400, seed=1, shift=1.0), transitions(400, seed=2, shift=-1.0)
    for _ in range(6):
        metrics = reward.update(expert, policy)
    assert metrics["accuracy"] > 0.9
    assert reward.reward(expert).mean() > 5 * reward.reward(policy).mean()
    assert reward.reward(expert).dtype == np.float32


def test_both_sides_weigh_alike_in_the_normaliser_whatever_their_sizes():
    reward = make_reward()
    reward.update(transitions(20, seed=1, shift=10.0), transitions(2000, seed=2, shift=0.0))
    mean = reward.critic.normaliser.mean[:3].numpy()
    np.testing.assert_allclose(mean, 5.0, atol=0.3)


def test_guard_halves_updates_and_step_size_and_gives_them_back():
    guard = SaturationGuard(accuracy_cap=0.9, logit_cap=3.0, max_level=3)
    for _ in range(2):
        guard.watch(0.95, -4.0)
    assert (guard.level, guard.updates(8), guard.lr(1e-3)) == (2, 2, 2.5e-4)
    for _ in range(5):
        guard.watch(0.99, -9.0)
    assert guard.level == 3
    assert guard.updates(4) == 1
    guard.watch(0.99, -1.0)  # right, but not so that the reward vanishes
    assert guard.level == 2
    guard.watch(0.5, -9.0)
    guard.watch(0.5, 0.0)
    assert (guard.level, guard.updates(8), guard.lr(1e-3)) == (0, 8, 1e-3)


def test_saturated_critic_gets_fewer_and_smaller_updates():
    reward = make_reward(updates_per_round=32, guard=SaturationGuard(0.8, 1.0))
    expert, policy = transitions(400, seed=1, shift=4.0), transitions(400, seed=2, shift=-4.0)
    rounds = [reward.update(expert, policy) for _ in range(6)]
    assert rounds[0]["updates"] == 32
    assert rounds[-1]["updates"] < 8
    assert rounds[-1]["lr"] < rounds[0]["lr"]


def test_resumed_reward_goes_on_to_the_last_bit():
    expert, policy = transitions(100, seed=1, shift=1.0), transitions(100, seed=2)
    reward = make_reward(guard=SaturationGuard(0.6, 0.0))
    for _ in range(3):
        reward.update(expert, policy)
    other = make_reward(seed=9, guard=SaturationGuard(0.6, 0.0))
    other.load_state_dict(copy.deepcopy(reward.state_dict()))  # a state holds live tensors
    assert reward.update(expert, policy) == other.update(expert, policy)
    np.testing.assert_array_equal(reward.reward(policy), other.reward(policy))


def test_constant_reward_is_the_shape_at_a_half():
    np.testing.assert_allclose(ConstantReward(SHAPES["gail"]).reward(transitions(3)), math.log(2.0), rtol=1e-6)
