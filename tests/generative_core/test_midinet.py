"""Bars: one pitch a step, the bar before is heard, means are matched, chords are obeyed."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from generative_core import AdversarialStep, MidiNet, fit
from generative_core.adversarial.midinet import bar_context

BAR = (5, 8)
N_CHORDS = 3


def small(**settings) -> MidiNet:
    torch.manual_seed(0)
    return MidiNet(BAR, chord_features=N_CHORDS, latent=4, channels=16, **settings)


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some_bars(n: int, seed: int = 0) -> torch.Tensor:
    return F.one_hot(torch.randint(BAR[0], (n, BAR[1]), generator=draws(seed)), BAR[0]).mT.float()


def some_chords(n: int) -> torch.Tensor:
    return F.one_hot(torch.arange(n) % N_CHORDS, N_CHORDS).float()


def test_a_drawing_has_one_pitch_a_step_and_the_gradient_of_the_probabilities():
    """The gradient of a sum over all pitches is zero, since their probabilities sum to 1; of one pitch it is not."""
    model = small()
    x = model.sample(6, bar_context(some_bars(6), some_chords(6)), generator=draws())
    assert x.shape == (6, *BAR)
    assert set(x.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(x.sum(1), torch.ones(6, BAR[1]))
    weight = model.generator.output.weight
    (of_all,) = torch.autograd.grad(x.sum(), weight, retain_graph=True)
    (of_one,) = torch.autograd.grad(x[:, 0].sum(), weight)
    assert of_all.abs().max() < 1e-4 < 1e-2 < of_one.abs().max()


@pytest.mark.parametrize("part", ["previous", "chord"])
def test_both_players_hear_the_bar_before_and_the_chord(part):
    model = small()  # in training mode: a batch norm that has seen nothing hides what it is given
    bars, chords, x = some_bars(4), some_chords(4), some_bars(4, seed=1)
    one = bar_context(bars, chords)
    other = bar_context(bars.flip(2), chords) if part == "previous" else bar_context(bars, chords.roll(1, 0))
    assert (model.sample(4, one, generator=draws()) - model.sample(4, other, generator=draws())).abs().max() > 1e-4
    assert (model.critic.logit(x, one) - model.critic.logit(x, other)).abs().max() > 1e-4


def test_a_melody_hands_each_bar_on():
    model = small().eval()
    chords = some_chords(12).view(4, 3, N_CHORDS)
    melody = model.compose(chords, generator=draws())
    assert melody.shape == (4, 3, *BAR)
    assert torch.equal(melody.sum(2), torch.ones(4, 3, BAR[1]))
    assert set(melody.unique().tolist()) == {0.0, 1.0}
    generator, bar = draws(), torch.zeros(4, *BAR)
    for i in range(3):
        bar = model.sample(4, bar_context(bar, chords[:, i]), generator=generator)
        assert torch.equal(melody[:, i], bar)


def test_the_distances_of_means_are_those_of_the_equation():
    model = small(match_bars=2.0, match_maps=3.0)
    x, drawn, context = some_bars(6), some_bars(6, seed=1), bar_context(some_bars(6, seed=2), some_chords(6))
    terms = model.generator_terms(drawn, x, context)
    assert_close(terms["bars"], 2 * sum((x.mean(0) - drawn.mean(0)).flatten() ** 2))
    planes = torch.cat([some_bars(6, seed=2), some_chords(6)[:, :, None].expand(-1, -1, BAR[1])], dim=1)
    f = [F.leaky_relu(model.critic.encoder.convolutions[0](torch.cat([bar, planes], dim=1)), 0.2) for bar in (x, drawn)]
    assert_close(terms["maps"], 3 * sum((f[0].mean(0) - f[1].mean(0)).flatten() ** 2))
    assert model.generator_terms(x, x, context)["bars"] == 0
    assert model.generator_terms(x, x, context)["maps"] == 0
    assert model.generator_terms(x.flip(0), x, context)["bars"] < 1e-12  # means alone are matched


def test_it_learns_to_answer_the_bar_before_in_the_pitch_of_the_chord():
    """A bar is held on the pitch of its chord, one higher where the bar before was on the lowest pitch."""
    model, generator = small(), draws()

    def target(previous: torch.Tensor, chord: torch.Tensor) -> torch.Tensor:
        return chord.argmax(1) + (previous[:, 0, 0] == 1)

    def batches():
        while True:
            pitch = torch.randint(2, (64,), generator=generator)
            previous = F.one_hot(pitch, BAR[0]).float()[:, :, None].expand(-1, -1, BAR[1])
            chord = F.one_hot(torch.randint(N_CHORDS, (64,), generator=generator), N_CHORDS).float()
            x = F.one_hot(target(previous, chord), BAR[0]).float()[:, :, None].expand(-1, -1, BAR[1])
            yield x, bar_context(previous, chord)

    fit(AdversarialStep(model, lr=2e-3), batches(), 150)
    x, context = next(batches())
    drawn = model.eval().sample(64, context, generator=draws(1))
    assert (drawn.argmax(1) == x.argmax(1)).float().mean() > 0.9


@pytest.mark.parametrize("shape", [(5, 12), (1, 5, 8)])
def test_events_that_are_no_bars_are_refused(shape):
    with pytest.raises(ValueError, match="divisible by 8"):
        MidiNet(shape)


@pytest.mark.parametrize("context", [None, torch.zeros(2, 3)])
def test_a_context_of_another_width_is_refused(context):
    with pytest.raises(ValueError, match="bar_context"):
        small().sample(2, context)
