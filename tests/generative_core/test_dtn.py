"""The domain transfer network: its ternary critic, f that stays, and a toy where f says what must become what."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from generative_core import DTN, AdversarialStep, fit
from generative_core.translation.dtn import FROM_SOURCE, FROM_TARGET, REAL

SHAPE = (1, 8, 8)


class LeftRight(nn.Module):
    """f: the brightness of the left and of the right half."""

    def forward(self, x):
        return x.flatten(2).unflatten(2, (x.shape[2], x.shape[3])).mean(1).mean(1).unflatten(1, (2, -1)).mean(2)


def tiny(features: nn.Module | None = None, **weights: float) -> DTN:
    torch.manual_seed(0)
    return DTN(SHAPE, features or LeftRight(), n_features=2, channels=(8, 4), **weights)


def batch(n: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return 2 * torch.rand(n, *SHAPE, generator=random) - 1, 2 * torch.rand(n, *SHAPE, generator=random) - 1


def test_an_undecided_critic_costs_log_three_a_class():
    model, (s, t) = tiny(), batch()
    nn.init.zeros_(model.critic.output.weight)
    nn.init.zeros_(model.critic.output.bias)
    drawn = model.draw(s, t)
    for value in model.critic_terms(drawn, s, t).values():
        assert_close(value.item(), math.log(3))
    assert_close(model.generator_terms(drawn, s, t)["adversarial"].item(), 2 * math.log(3))


def test_each_side_has_its_class():
    model, (s, t) = tiny(), batch()
    nn.init.zeros_(model.critic.output.weight)
    for of_class, name in ((FROM_SOURCE, "from_source"), (FROM_TARGET, "from_target"), (REAL, "real")):
        with torch.no_grad():
            model.critic.output.bias.copy_(20 * F.one_hot(torch.tensor(of_class), 3))
        drawn = model.draw(s, t)
        terms = model.critic_terms(drawn, s, t)
        assert {key for key, value in terms.items() if value < 1e-3} == {name}
        assert (model.generator_terms(drawn, s, t)["adversarial"] < 1e-3) == (of_class == REAL)


def test_weighted_squares_of_what_must_stay():
    model, (s, t) = tiny(const=3.0, identity=5.0, tv=0.5).eval(), batch()
    drawn = model.draw(s, t)
    terms = model.generator_terms(drawn, s, t)
    f = LeftRight()
    assert_close(terms["const"], 3 * F.mse_loss(f(model.translate(s)), f(s)))
    assert_close(terms["identity"], 5 * F.mse_loss(model.translate(t), t))
    assert terms["tv"] > 0
    assert set(tiny(const=0.0, identity=0.0).generator_terms(drawn, s, t)) == {"adversarial"}


def test_the_translation_sees_only_f():
    model, (s, _) = tiny().eval(), batch()
    other = LeftRight()(s)[:, None, None, :].repeat_interleave(4, dim=3).expand(-1, 1, 8, 8)  # the same two means
    assert_close(model.translate(s), model.translate(other), atol=1e-5, rtol=1e-5)


def test_f_and_its_statistics_stay_while_the_players_move():
    features = nn.Sequential(nn.Conv2d(1, 2, 8), nn.BatchNorm2d(2), nn.Flatten())
    model, (s, t) = tiny(features), batch()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    AdversarialStep(model)(s, t)
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert not any(name.startswith("features") for name in moved)
    assert {name for name, _ in model.named_parameters() if not name.startswith("features")} <= moved


def test_a_sample_is_a_translation_of_its_context():
    model, (s, _) = tiny().eval(), batch()
    assert_close(model.sample(6, s), model.translate(s))
    with pytest.raises(ValueError, match="give 3 of them"):
        model.sample(3)


def test_it_finds_the_event_with_the_same_features_in_another_domain():
    """S: a bright half on noise; T: a clean bright half.  G(x) must have the half of x."""
    random = torch.Generator().manual_seed(0)

    def half(n: int, noise: float) -> tuple[torch.Tensor, torch.Tensor]:
        side = torch.randint(2, (n,), generator=random)
        x = -0.8 * torch.ones(n, *SHAPE)
        x[side == 0, :, :, :4], x[side == 1, :, :, 4:] = 0.8, 0.8
        return x + noise * torch.randn(x.shape, generator=random), side

    def batches():
        while True:
            yield half(16, 0.3)[0], half(16, 0.0)[0]

    model = tiny()
    fit(AdversarialStep(model, lr=5e-3), batches(), 60)
    x, side = half(64, 0.3)
    target = -0.8 * torch.ones(64, *SHAPE)
    target[side == 0, :, :, :4], target[side == 1, :, :, 4:] = 0.8, 0.8
    with torch.no_grad():
        assert (model.eval().translate(x) - target).abs().mean() < 0.35  # 1.6 at the wrong side, 0.8 for grey


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="n_features"):
        DTN(SHAPE, LeftRight(), n_features=3)
    with pytest.raises(ValueError, match="negative"):
        tiny(tv=-1.0)
    with pytest.raises(ValueError, match="built for sources"):
        tiny().translate(torch.zeros(2, 1, 4, 4))


def test_the_features_of_the_source_are_computed_once_a_draw():
    model, (s, t) = tiny(), batch()
    drawn = model.draw(s, t)
    assert_close(drawn.wanted, LeftRight()(s))
    seen = []
    model.features.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    model.generator_terms(drawn, s, t)
    assert len(seen) == 1
    assert seen[0] is drawn.source
