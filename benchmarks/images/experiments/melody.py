"""Melodies bar by bar: rules of a written grammar, counted in what is made over given chords."""

from collections.abc import Sequence

import torch
from torch import Tensor

from benchmarks.data.melodies import (
    LOWEST,
    N_PITCHES,
    N_STEPS,
    REACH,
    Melodies,
    check,
    chord_code,
    draw_melodies,
    one_hot,
)
from benchmarks.data.midi import notes_of, write_midi
from benchmarks.images.experiments.experiment import Experiment, Measure, Row, Size
from benchmarks.images.experiments.lab import JUDGE_SEED, Lab
from gail_suite.demonstrations.atomic import atomic_path
from generative_core import AdversarialStep, MidiNet
from generative_core.adversarial.midinet import bar_context

BARS = 4


def midinet(lab: Lab, size: Size) -> Sequence[Row]:
    test = _melodies(size.n_judged // BARS, seed=JUDGE_SEED)
    train = _melodies(max(100 if lab.smoke else 5_000, len(test.pitches)), seed=lab.seed)
    bars = one_hot(train.pitches).to(lab.device)  # (n, bars, P, T)
    before = torch.cat([torch.zeros_like(bars[:, :1]), bars[:, :-1]], dim=1)
    chords, test_chords = (chord_code(melodies.chords).to(lab.device) for melodies in (train, test))
    x, context = bars.flatten(0, 1), bar_context(before.flatten(0, 1), chords.flatten(0, 1))
    made: dict[str, Melodies] = {}
    # contexts of other bars say nothing; zeros would leave the conditioner's batch norms nothing to divide by
    others = context[torch.randperm(len(context), generator=torch.Generator().manual_seed(lab.seed))]
    for name, known in (("MidiNet", context), ("unconditional", others)):
        torch.manual_seed(lab.seed)
        model = MidiNet((N_PITCHES, N_STEPS), channels=size.channels[0]).to(lab.device)
        step = AdversarialStep(model, lr=5e-4, generator_steps=2, seed=lab.seed)
        trained = lab.train(name, step, lab.batches(x, known))
        assert isinstance(trained, MidiNet)
        if name == "MidiNet":
            pitches = trained.compose(test_chords, generator=lab.random(7)).argmax(2)
        else:
            with torch.no_grad():
                pitches = trained.sample(test.chords.numel(), others[: test.chords.numel()], generator=lab.random(7))
            pitches = pitches.argmax(1).unflatten(0, tuple(test.chords.shape))
        made[name] = Melodies(pitches.cpu(), test.chords)
    made["Markov"] = Melodies(_markov(lab, train.pitches, test.pitches.shape), test.chords)
    shown = (test, *made.values())
    lab.picture(
        [piano_roll(melodies.pitches[:3]) for melodies in shown],
        "piano rolls of three melodies, C's rows darker: the grammar; MidiNet; unconditional; Markov chain",
    )
    if lab.picture_file is not None:
        with atomic_path(lab.picture_file.with_name("melody.mid")) as file:
            pitches = made["MidiNet"].pitches[:8].flatten() + LOWEST
            file.write_bytes(write_midi(notes_of(pitches.tolist())))
    repeated = Melodies(test.pitches[:1, :1].expand_as(test.pitches), test.chords)
    known_bars = {tuple(bar) for bar in train.pitches.flatten(0, 1).tolist()}
    return [
        Row("MidiNet", "ours", measure(made["MidiNet"], known_bars)),
        Row("told nothing of chord and previous bar", "ablation", measure(made["unconditional"], known_bars)),
        Row("a Markov chain of pitches", "baseline", measure(made["Markov"], known_bars)),
        Row("one bar of the grammar, over and over", "baseline", measure(repeated, known_bars)),
        Row("the grammar", "ceiling", measure(test, known_bars)),
    ]


def measure(melodies: Melodies, known_bars: set[tuple[int, ...]]) -> dict[str, float]:
    rules = check(melodies)
    bars = [tuple(bar) for bar in melodies.pitches.flatten(0, 1).tolist()]
    return {
        "on chord": rules.on_chord,
        "whole bars": rules.whole_bars,
        "in scale": rules.in_scale,
        "on grid": rules.on_grid,
        "in reach": rules.in_reach,
        "copies": sum(bar in known_bars for bar in bars) / len(bars),
        "different": len(set(bars)) / len(bars),
    }


def piano_roll(pitches: Tensor) -> Tensor:
    """(n, bars, 16) -> images (n, 3, 2 + P, bars (16 + 1)) in [-1, 1], the highest pitch on top."""
    rows = torch.full((N_PITCHES, N_STEPS), -0.75)
    rows[::12] = -1.0
    rolls = torch.maximum(one_hot(pitches) * 2 - 1, rows)  # (n, bars, P, T)
    rolls = torch.nn.functional.pad(rolls.flip(2), (0, 1, 1, 1), value=-0.4)  # a line after each bar
    return rolls.transpose(1, 2).flatten(2)[:, None].expand(-1, 3, -1, -1)  # (n, bars, P, T) -> (n, P, bars T)


def _melodies(n: int, *, seed: int) -> Melodies:
    return draw_melodies(n, bars=BARS, generator=torch.Generator().manual_seed(seed))


def _markov(lab: Lab, pitches: Tensor, shape: Sequence[int]) -> Tensor:
    """Melodies from p(pitch | pitch one step before), counted in the training melodies."""
    n, bars, steps = shape
    line = pitches.flatten(1)
    pairs = line[:, :-1] * N_PITCHES + line[:, 1:]
    counts = pairs.flatten().bincount(minlength=N_PITCHES**2).view(N_PITCHES, N_PITCHES).float()
    counts[counts.sum(1) == 0] = 1.0  # a pitch that never sounded is never reached either
    generator = torch.Generator().manual_seed(lab.seed * 1_000_003 + 9)
    now = line[torch.randint(len(line), (n,), generator=generator), 0]
    drawn = [now]
    for _ in range(bars * steps - 1):
        now = torch.multinomial(counts[now], 1, generator=generator).squeeze(1)
        drawn.append(now)
    return torch.stack(drawn, dim=1).unflatten(1, (bars, steps))


MELODY: dict[str, Experiment] = {
    "midinet": Experiment(
        about="MidiNet",
        paper="https://arxiv.org/abs/1703.10847",
        question="does a GAN of bars obey the chord it is given and go on from the bar before?",
        measures={
            "on chord": Measure("share of half bars that begin with a new note, a tone of the chord", "higher"),
            "whole bars": Measure("share of bars that keep every rule of the grammar", "higher"),
            "in scale": Measure("share of steps in the scale", "higher"),
            "on grid": Measure("notes on an even step, of all notes and of the half bars without a new one", "higher"),
            "in reach": Measure(f"share of bar lines crossed to another note within {REACH} semitones", "higher"),
            "copies": Measure("share of bars that are exact copies of training bars", "neither"),
            "different": Measure("different bars among all that were made", "higher"),
        },
        run=midinet,
        cpu=Size(steps=4_000, channels=(64, 32)),
        gpu=Size(steps=40_000, batch_size=128, channels=(256, 128), n_judged=8_000),
    ),
}
