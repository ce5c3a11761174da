"""Translators there and back: what each term asks for, and that the game finds a known map without pairs."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from generative_core import AdversarialStep, CycleGAN
from generative_core.nets.patch import PatchNet
from generative_core.training.fit import fit

X, Y = (1, 8, 8), (3, 8, 8)


def tiny(**changes) -> CycleGAN:
    torch.manual_seed(0)
    shapes = {"event_shape": Y, "source_shape": X} | changes
    return CycleGAN(shapes.pop("event_shape"), channels=(4, 8), blocks=1, critic_channels=(4, 8), **shapes)


def batch(n: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(n, *X, generator=random) - 1, 2 * torch.rand(n, *Y, generator=random) - 1


class Scaled(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x):
        return self.factor * x


def linear_pair(there: float, back: float, **weights: float) -> CycleGAN:
    """G(x) = there x, F(y) = back y on one shape."""
    model = tiny(event_shape=X, source_shape=X, **weights)
    model.generator = nn.ModuleDict({"to_y": Scaled(there), "to_x": Scaled(back)})
    return model


def test_it_translates_both_ways_between_domains_of_different_channels():
    model, (x, y) = tiny(), batch()
    assert model.translate(x).shape == (4, *Y)
    assert model.translate_back(y).shape == (4, *X)
    assert_close(model.sample(4, x), model.translate(x))
    with pytest.raises(ValueError, match="give 4 of them"):
        model.sample(4)


def test_cycle_and_identity_are_weighted_mean_absolute_errors():
    model = linear_pair(0.5, 0.5, cycle=10.0, identity=3.0)
    x, y = batch()[0], batch(seed=1)[0]
    terms = model.generator_terms(model.draw(x, y), x, y)
    assert_close(terms["cycle_x"], 10 * 0.75 * x.abs().mean())  # F(G(x)) = x / 4
    assert_close(terms["cycle_y"], 10 * 0.75 * y.abs().mean())
    assert_close(terms["identity_y"], 3 * 0.5 * y.abs().mean())
    assert_close(terms["identity_x"], 3 * 0.5 * x.abs().mean())


def test_inverse_maps_have_no_cycle_loss_and_lose_it_by_moving_apart():
    x, y = batch()[0], batch(seed=1)[0]

    def cycle(there: float, back: float) -> float:
        model = linear_pair(there, back)
        terms = model.generator_terms(model.draw(x, y), x, y)
        return (terms["cycle_x"] + terms["cycle_y"]).item()

    assert cycle(2.0, 0.5) < 1e-6
    assert cycle(2.0, 0.6) > 0.1
    assert cycle(-1.0, -1.0) < 1e-6  # the sign is the critics' matter


def test_the_generators_share_of_least_squares_is_that_of_targets_one_and_zero():
    """With l = 2 l' - 1 the paper's (l' - 1)^2 is (l - 1)^2 / 4."""
    model, (x, y) = tiny(), batch()
    drawn = model.draw(x, y)
    logit = model.critic["y"](drawn.y)
    assert_close(model.generator_terms(drawn, x, y)["adversarial_y"], ((logit + 1) / 2 - 1).square().mean())


def test_no_cycle_means_no_term():
    model, (x, y) = tiny(cycle=0.0), batch()
    assert set(model.generator_terms(model.draw(x, y), x, y)) == {"adversarial_y", "adversarial_x"}


def test_an_identity_between_different_shapes_is_refused():
    with pytest.raises(ValueError, match="one shape"):
        tiny(identity=5.0)


def test_both_translators_and_both_critics_move():
    model, (x, y) = tiny(), batch()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    AdversarialStep(model)(x, y)
    assert [name for name, p in model.named_parameters() if torch.equal(p, before[name])] == []


def test_a_resumed_game_repeats_to_the_bit_with_its_history():
    def stepped(n: int, step: AdversarialStep, first: int = 0) -> AdversarialStep:
        for i in range(first, first + n):
            step(*batch(seed=i))
        return step

    whole = stepped(8, AdversarialStep(tiny(history=6), seed=3))
    half = stepped(4, AdversarialStep(tiny(history=6), seed=3))
    resumed = AdversarialStep(tiny(history=6), seed=99)
    resumed.load_state_dict(half.state_dict())
    stepped(4, resumed, first=4)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    assert whole.model.history["y"].n_kept == 6


def test_unpaired_batches_teach_it_to_invert():
    """X: bright squares on black, Y: dark squares on white: from w = -0.2 both must find w = -1, b = 0."""
    torch.manual_seed(0)
    random = torch.Generator().manual_seed(0)

    def squares(n: int) -> torch.Tensor:
        images = -torch.ones(n, *X)
        for image, (i, j) in zip(images, torch.randint(0, 5, (n, 2), generator=random).tolist(), strict=True):
            image[:, i : i + 4, j : j + 4] = 0.8
        return images

    def batches():
        while True:
            yield squares(8), -squares(8)

    model = tiny(event_shape=X, source_shape=X, history=20)
    model.generator = nn.ModuleDict({"to_y": nn.Conv2d(1, 1, 1), "to_x": nn.Conv2d(1, 1, 1)})  # w x + b
    for net in model.generator.values():
        nn.init.constant_(net.weight, -0.2)  # no cycle at all, and grey
    model.critic = nn.ModuleDict({domain: PatchNet(1, channels=(8,), norm=None) for domain in ("y", "x")})
    fit(AdversarialStep(model, lr=2e-2), batches(), 100)
    x = squares(16)
    with torch.no_grad():
        assert (model.translate(x) + x).abs().mean() < 0.3  # 0.8 away at first
        assert (model.translate_back(-x) - x).abs().mean() < 0.3


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"cycle": -1.0}, "negative"),
        ({"event_shape": (3, 9, 8), "source_shape": (1, 9, 8)}, "2 divides"),
        ({"event_shape": (3, 8, 16)}, "same sides"),
        ({"event_shape": (3, 2, 2), "source_shape": (1, 2, 2)}, "no logit"),
    ],
)
def test_what_does_not_fit_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        tiny(**wrong)
