"""Melodies in C major from a written grammar: what follows its rules and what breaks them is counted exactly.

A bar has 16 steps, of which each sounds one of 24 pitches.  The rules:

- chords follow one another as in `FOLLOWS`;
- each half of a bar begins with a new note, which is a tone of the chord; all notes are tones of the scale;
- notes begin on even steps, each half in one of the rhythms `HALVES`;
- a note differs from the one before it, across the bar line too, by at most `REACH` semitones.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

N_STEPS, N_PITCHES, LOWEST = 16, 24, 60
"""Steps of a bar; pitches, from MIDI's number 60, the middle C."""
REACH = 5
SCALE = (0, 2, 4, 5, 7, 9, 11)
CHORDS = (("C", 0, 0), ("Dm", 2, 1), ("Em", 4, 1), ("F", 5, 0), ("G", 7, 0), ("Am", 9, 1))
"""Name, root and whether it is minor."""
FOLLOWS = ((1, 3, 4, 5), (4,), (3, 5), (0, 1, 4), (0, 5), (1, 3))
HALVES = ((8,), (4, 4), (6, 2), (2, 2, 4), (4, 2, 2), (2, 2, 2, 2))
"""Lengths of the notes of half a bar."""


class Melodies(NamedTuple):
    """n melodies and their chords."""

    pitches: Tensor
    """(n, bars, 16) int64, 0 to 23."""
    chords: Tensor
    """(n, bars) index into `CHORDS`."""


class Rules(NamedTuple):
    """Shares in [0, 1] of what keeps to the rules; 1 throughout for the grammar's own."""

    on_chord: float
    """Of the half bars: those that begin with a new note, which is a tone of the chord."""
    in_scale: float
    """Of all steps."""
    on_grid: float
    """Of the notes that begin and of the half bars that begin with none: the notes that begin on an even step."""
    in_reach: float
    """Of the bar lines: those across which the melody goes on with another note within `REACH`."""
    whole_bars: float
    """Of the bars: those that keep every rule, of rhythms and of leaps inside the bar too."""


def draw_melodies(n: int, *, bars: int = 8, generator: torch.Generator) -> Melodies:
    """Melodies from the grammar; the choices that it leaves open are equally likely."""
    luck = iter(torch.rand(n * bars * (1 + 2 + 8) + n * 2, generator=generator).tolist())
    pitches = torch.empty(n, bars * N_STEPS, dtype=torch.int64)
    chords = torch.empty(n, bars, dtype=torch.int64)

    def one_of(n_options: int) -> int:
        return int(next(luck) * n_options)

    for melody in range(n):
        chord = one_of(len(CHORDS))
        steps: list[int] = []
        for bar in range(bars):
            if bar > 0:
                chord = FOLLOWS[chord][one_of(len(FOLLOWS[chord]))]
            chords[melody, bar] = chord
            for half in (HALVES[one_of(len(HALVES))] for _ in range(2)):
                for i, length in enumerate(half):
                    options = _options(steps[-1] if steps else None, chord, i == 0)
                    steps += [options[one_of(len(options))]] * length
        pitches[melody] = torch.tensor(steps)
    return Melodies(pitches.unflatten(1, (bars, N_STEPS)), chords)


def _options(last: int | None, chord: int, is_strong: bool) -> tuple[int, ...]:
    """Pitches that may follow."""
    allowed = _triad(chord) if is_strong else SCALE
    near = range(6, 18) if last is None else range(max(last - REACH, 0), min(last + REACH + 1, N_PITCHES))
    return tuple(pitch for pitch in near if pitch % 12 in allowed and pitch != last)


def _triad(chord: int) -> tuple[int, int, int]:
    _, root, is_minor = CHORDS[chord]
    return root, (root + 4 - is_minor) % 12, (root + 7) % 12


def check(melodies: Melodies) -> Rules:
    """How far melodies (n, bars, 16) of two bars or more keep to the rules over their chords."""
    pitches, chords = melodies
    triads = torch.tensor([_triad(chord) for chord in range(len(CHORDS))], device=pitches.device)
    line = pitches.flatten(1)
    leap = F.pad((line[:, 1:] - line[:, :-1]).abs(), (1, 0), value=1)  # a melody's first note is new
    leap = leap.view_as(pitches)
    begins = leap > 0  # (n, bars, 16)
    halves = begins.unflatten(2, (2, N_STEPS // 2))  # (n, bars, 2, 8)
    strong = pitches[:, :, :: N_STEPS // 2] % 12  # (n, bars, 2)
    on_chord = (strong[..., None] == triads[chords][:, :, None]).any(3) & halves[..., 0]
    in_scale = torch.isin(pitches % 12, torch.tensor(SCALE, device=pitches.device))
    is_reached = leap <= REACH
    in_time = (halves[..., None, :] == _rhythms(pitches.device)).all(4).any(3)  # (n, bars, 2)
    whole = on_chord.all(2) & in_scale.all(2) & in_time.all(2) & is_reached.all(2)
    n_begins, n_missing = begins.sum() - len(line), (~halves[..., 0]).sum()  # less the first notes, which all begin
    on_grid = (begins[:, :, ::2].sum() - len(line)) / (n_begins + n_missing)
    return Rules(
        float(on_chord.float().mean()),
        float(in_scale.float().mean()),
        float(on_grid),
        float((begins & is_reached)[:, 1:, 0].float().mean()),
        float(whole.float().mean()),
    )


def _rhythms(device: torch.device) -> Tensor:
    """(6, 8): the steps of half a bar at which a note begins, for each of `HALVES`."""
    begins = torch.zeros(len(HALVES), N_STEPS // 2, dtype=torch.bool, device=device)
    for rhythm, lengths in enumerate(HALVES):
        for i in range(len(lengths)):
            begins[rhythm, sum(lengths[:i])] = True
    return begins


def one_hot(pitches: Tensor) -> Tensor:
    """(..., T) -> (..., 24, T) of 0 and 1."""
    return F.one_hot(pitches, N_PITCHES).transpose(-1, -2).float()


def chord_code(chords: Tensor) -> Tensor:
    """(...) index into `CHORDS` -> (..., 13): the root as one of twelve, and 1 for minor."""
    root, is_minor = (torch.tensor([chord[i] for chord in CHORDS], device=chords.device)[chords] for i in (1, 2))
    return torch.cat([F.one_hot(root, 12), is_minor[..., None]], dim=-1).float()
