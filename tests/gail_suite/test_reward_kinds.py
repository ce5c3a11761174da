"""Every reward of the command line: what it pays, that it learns, that it can be saved."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from gail_suite import DensityReward, RatioReward, TrainConfig
from gail_suite.config import CriticConfig, DensityConfig
from gail_suite.errors import InputError
from gail_suite.reward.adversarial import AdversarialReward
from gail_suite.reward.fitting import DENSITIES
from gail_suite.reward.make import GAMES, make_constant_control, make_reward_model
from gail_suite.reward.protocol import Transitions
from gail_suite.reward.shaping import SHAPES
from gail_suite.reward.views import VIEWS, StandardisedView
from generative_core import Gaussian, GaussianMixture, MLPCritic, load_checkpoint, save_checkpoint
from tests.gail_suite.helpers import demonstrations, transitions

SMALL = TrainConfig(
    critic=CriticConfig(hidden=(32,), updates_per_round=30, batch_size=64, lr=1e-3),
    density=DensityConfig(hidden=(32,), max_updates=300, batch_size=64, lr=3e-3),
)
MODES = [
    *((name, mode) for name in ("made", "flow", "gmm") for mode in ("fitted", "ratio")),
    *((name, mode) for name in ("vae", "rbm", "diffusion") for mode in ("fitted", "adversarial")),
    ("made", "adversarial"),
    ("flow", "adversarial"),
]
KINDS = [(name, "auto") for name in GAMES] + MODES


def expert(n: int = 600):
    batch = transitions(n, seed=1, shift=1.0)
    obs = np.hstack([batch.obs, np.full((n, 1), 3.0)])  # one dimension never moves
    return demonstrations(obs, batch.acts, next_obs=obs)


def others(n: int, seed: int, shift: float) -> Transitions:
    batch = transitions(n, seed=seed, shift=shift)
    obs = np.hstack([batch.obs, np.full((n, 1), 3.0)])
    return batch._replace(obs=obs, next_obs=obs)


def make(name: str, mode: str = "auto"):
    torch.manual_seed(0)
    config = replace(SMALL, reward=name, density=replace(SMALL.density, mode=mode))
    return make_reward_model(config, expert(), "cpu")


@pytest.mark.parametrize(("name", "mode"), KINDS)
def test_it_comes_to_prefer_the_expert(name, mode):
    if name == "fairl":
        pytest.skip("pays less where the expert is more likely, by design")
    reward = make(name, mode)
    far = others(400, seed=3, shift=-1.0)
    for _ in range(8):
        metrics = reward.update(expert().transitions(), far)
    assert all(np.isfinite(value) for value in metrics.values())
    near, away = reward.reward(others(400, seed=2, shift=1.0)), reward.reward(others(400, seed=4, shift=-1.0))
    assert near.dtype == np.float32
    assert near.mean() > away.mean() + 0.2
    if name not in ("airl", "log-d"):
        assert min(near.min(), away.min()) >= 0


@pytest.mark.parametrize(("name", "mode"), KINDS)
def test_it_goes_on_to_the_last_bit_after_a_resume(name, mode, tmp_path):
    reward, other = make(name, mode), make(name, mode)
    side = others(100, seed=3, shift=-1.0)
    for _ in range(2):
        reward.update(expert().transitions(), side)
    save_checkpoint(tmp_path / "reward.safetensors", reward.state_dict())
    other.load_state_dict(load_checkpoint(tmp_path / "reward.safetensors"))
    torch.manual_seed(5)
    first = (reward.update(expert().transitions(), side), reward.reward(side))
    torch.manual_seed(5)
    second = (other.update(expert().transitions(), side), other.reward(side))
    assert first[0] == second[0]
    np.testing.assert_array_equal(first[1], second[1])


@pytest.mark.parametrize("name", GAMES)
def test_every_critic_is_trained_by_a_loss_that_its_reward_accepts(name):
    assert GAMES[name].score_kind in SHAPES[name].accepts
    assert make_constant_control(replace(SMALL, reward=name)).reward(transitions(3)).shape == (3,)


@pytest.mark.parametrize(
    ("name", "mode", "remedy"),
    [("vae", "ratio", "adversarial"), ("rbm", "ratio", "made"), ("gmm", "adversarial", "fitted")],
)
def test_modes_that_a_density_cannot_have_are_refused_with_the_remedy(name, mode, remedy):
    with pytest.raises(InputError, match=remedy):
        make(name, mode)


def test_regularisers_reach_the_critic_and_mixup_wants_labels():
    harsh = replace(SMALL.critic, r1_penalty=2.0, logit_penalty=0.1, mixup=True, spectral_norm=True, dropout=0.2)
    reward = make_reward_model(replace(SMALL, critic=harsh), expert(), "cpu")
    assert (reward.step.r1_penalty, reward.step.logit_penalty, reward.step.mixup) == (2.0, 0.1, True)
    metrics = reward.update(expert().transitions(), others(100, seed=3, shift=-1.0))
    assert np.isfinite(metrics["loss"])
    with pytest.raises(InputError, match="mixup"):
        make_reward_model(replace(SMALL, reward="wgan", critic=harsh), expert(), "cpu")


def ending(batch: Transitions, n: int) -> Transitions:
    """The same, the first n of them with a real end."""
    return batch._replace(terminated=np.arange(len(batch.obs)) < n)


def test_with_absorbing_states_an_end_that_only_the_policy_meets_is_worth_less_than_one_that_both_do():
    def after_end(expert_ends: int) -> float:
        torch.manual_seed(0)
        reward = make_reward_model(replace(SMALL, absorbing=True), expert(), "cpu")
        assert reward.reward(expert().transitions()).shape == (600,)
        for _ in range(12):
            reward.update(ending(expert().transitions(), expert_ends), ending(others(600, seed=3, shift=1.0), 60))
        return reward.after_end()

    never, alike = after_end(0), after_end(60)
    assert 0 <= never < 0.35 < alike
    assert alike == pytest.approx(np.log(2), abs=0.25)  # the critic cannot tell


def test_without_absorbing_states_nothing_follows_an_end():
    for name, mode in KINDS[:2] + MODES[:2]:
        assert make(name, mode).after_end() == 0
    assert make_constant_control(SMALL).after_end() == 0
    control = make_constant_control(replace(SMALL, absorbing=True))
    assert control.after_end() == pytest.approx(np.log(2))
    with pytest.raises(InputError, match="needs a critic"):
        make_reward_model(replace(SMALL, reward="gmm", absorbing=True), expert(), "cpu")
    with pytest.raises(InputError, match="gamma"):
        replace(SMALL, absorbing=True, ppo=replace(SMALL.ppo, gamma=1.0)).check()


def test_what_auto_means():
    assert {name: type(make(name)) for name in DENSITIES} == {
        "made": RatioReward,
        "flow": RatioReward,
        "gmm": RatioReward,
        "vae": AdversarialReward,
        "rbm": AdversarialReward,
        "diffusion": AdversarialReward,
    }


def gaussian(x: torch.Tensor) -> Gaussian:
    return Gaussian((x.shape[1],)).fit(x)


def test_a_density_pays_by_its_place_among_the_experts_own_scores():
    batch = transitions(2000, seed=1)
    view = StandardisedView(VIEWS["state"], batch)
    reward = DensityReward(gaussian(view(batch)), view, batch)
    scores = reward.scores(batch)
    low, middle, high = np.quantile(scores, [0.25, 0.5, 0.75])
    np.testing.assert_allclose(reward.reward(batch), np.log1p(np.exp((scores - middle) / (high - low))), rtol=1e-5)


def test_the_ratio_of_two_densities_is_theirs_and_is_held_within_bounds():
    batch, other = transitions(2000, seed=1), transitions(2000, seed=2, shift=0.5)
    view = StandardisedView(VIEWS["state"], batch)
    p, q = gaussian(view(batch)), gaussian(view(other))

    def nothing(x):
        return {}

    reward = RatioReward(p, q, nothing, view, SHAPES["airl"])
    x = view(other)
    assert_close(torch.from_numpy(reward.reward(other)), (p.log_prob(x) - q.log_prob(x)).clamp(-10, 10))
    far = batch._replace(obs=batch.obs + 50)
    assert np.abs(reward.reward(far)).max() <= 10


def test_a_ratio_of_many_nats_is_measured_in_a_larger_unit_and_still_tells_near_from_far():
    batch, other = transitions(2000, seed=1), transitions(2000, seed=2, shift=4.0)
    view = StandardisedView(VIEWS["state"], batch)
    reward = RatioReward(gaussian(view(batch)), gaussian(view(other)), lambda x: {}, view, SHAPES["gail"])
    for _ in range(60):
        metrics = reward.update(batch, other)
    nats = np.abs(metrics["logit_model"]) * reward.unit
    assert nats > 10
    assert metrics["logit_model"] == pytest.approx(-2.5, abs=1.0)
    nearer = other._replace(obs=other.obs - 1.0)
    assert reward.reward(nearer).mean() > 1.2 * reward.reward(other).mean() > 0.01
    alike = RatioReward(gaussian(view(batch)), gaussian(view(batch)), lambda x: {}, view, SHAPES["gail"])
    alike.update(batch, batch)
    assert alike.unit == 1.0


def test_critics_and_bounds_are_no_densities():
    batch = transitions(50)
    view = StandardisedView(VIEWS["state"], batch)
    with pytest.raises(ValueError, match="LOG_PROB"):
        DensityReward(MLPCritic((3,)), view, batch)
    with pytest.raises(ValueError, match="exact log-densities"):
        RatioReward(gaussian(view(batch)), MLPCritic((3,)), lambda x: {}, view, SHAPES["gail"])


def test_a_density_without_spread_is_refused():
    batch = transitions(50)
    same = batch._replace(obs=np.repeat(batch.obs[:1], 50, axis=0))
    view = StandardisedView(VIEWS["state"], batch)
    with pytest.raises(ValueError, match="no unit"):
        DensityReward(gaussian(view(batch)), view, same)


def test_the_standardised_view_drops_what_never_moves_and_cuts_what_runs_away():
    batch = expert().transitions()
    view = StandardisedView(VIEWS["state"], batch)
    assert view.n_features == 3
    x = view(batch)
    assert_close(x.mean(0), torch.zeros(3), rtol=0, atol=1e-5)
    assert_close(x.std(0, correction=0), torch.ones(3), rtol=0, atol=1e-3)
    assert view(batch._replace(obs=batch.obs + 1e6)).max() == 10
    other = StandardisedView(VIEWS["state"], others(50, seed=9, shift=5.0))
    other.load_state_dict(view.state_dict())
    assert_close(other(batch), x, rtol=0, atol=0)


def test_a_wasserstein_critics_zero_lies_midway():
    """Its score is known up to a constant; without this the reward would be that constant's."""
    reward = make("wgan")
    far = others(400, seed=3, shift=-1.0)
    reward.update(expert().transitions(), far)
    before = reward.reward(far)
    with torch.no_grad():
        last = [m for m in reward.critic.modules() if isinstance(m, torch.nn.Linear)][-1]
        last.bias.add_(100.0)
    reward.update(expert().transitions(), far)
    assert abs(reward.reward(far).mean() - before.mean()) < 2


def test_few_transitions_get_few_components():
    assert DENSITIES["gmm"](10, 50, SMALL.density).n_components == 1
    model = DENSITIES["gmm"](10, 100_000, SMALL.density)
    assert isinstance(model, GaussianMixture)
    assert model.n_components == 10
