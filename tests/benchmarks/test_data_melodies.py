"""Melodies keep to the grammar, breaches are counted, and a MIDI file says what was put into it."""

import itertools

import pytest
import torch
from torch.testing import assert_close

from benchmarks.data.melodies import CHORDS, FOLLOWS, N_PITCHES, Melodies, check, chord_code, draw_melodies, one_hot
from benchmarks.data.midi import Note, notes_of, variable_length, write_midi


def some(seed: int = 0, n: int = 100) -> Melodies:
    return draw_melodies(n, bars=4, generator=torch.Generator().manual_seed(seed))


def test_the_grammar_keeps_its_own_rules():
    melodies = some()
    assert melodies.pitches.shape == (100, 4, 16)
    assert 0 <= melodies.pitches.min() < melodies.pitches.max() < N_PITCHES
    assert check(melodies) == (1.0, 1.0, 1.0, 1.0, 1.0)
    steps = {(a, b) for chords in melodies.chords.tolist() for a, b in itertools.pairwise(chords)}
    assert steps <= {(a, b) for a, after in enumerate(FOLLOWS) for b in after}


def test_melodies_are_the_seeds_alone():
    assert torch.equal(some().pitches, some().pitches)
    assert not torch.equal(some().pitches, some(1).pitches)


def well_kept() -> Melodies:
    """Two bars over C major and D minor with eight notes and no breach."""
    bars = [[12] * 4 + [14] * 4 + [16] * 8, [17] * 6 + [16] * 2 + [14] * 2 + [16] * 2 + [17] * 4]
    return Melodies(torch.tensor([bars]), torch.tensor([[0, 1]]))


def test_each_breach_is_counted_where_it_is():
    pitches, chords = well_kept()
    assert check(Melodies(pitches, chords)) == (1.0, 1.0, 1.0, 1.0, 1.0)
    off_chord = pitches.clone()
    off_chord[0, 0, 8:] = 14  # D: in the scale, not in the chord; the note before is another D
    assert check(Melodies(off_chord, chords)) == pytest.approx((0.75, 1.0, 6 / 7, 1.0, 0.5))
    off_scale = pitches.clone()
    off_scale[0, 0, 4:8] = 13
    assert check(Melodies(off_scale, chords)) == (1.0, 28 / 32, 1.0, 1.0, 0.5)
    off_grid = pitches.clone()
    off_grid[0, 0, 4] = 12  # begins at 5
    assert check(Melodies(off_grid, chords)) == pytest.approx((1.0, 1.0, 6 / 7, 1.0, 0.5))
    odd_rhythm = pitches.clone()
    odd_rhythm[0, 0, 2:4] = 14  # two steps and six: even, and none of the grammar's
    assert check(Melodies(odd_rhythm, chords)) == (1.0, 1.0, 1.0, 1.0, 0.5)
    for leap, share in ((5, 1.0), (6, 0.0)):
        leaps = pitches.clone()
        leaps[0, 0, 8:] = 17 - leap
        assert check(Melodies(leaps, chords)).in_reach == share


def test_a_note_that_is_held_keeps_no_rule_of_beginning():
    chords = torch.zeros(1, 4, dtype=torch.int64)
    rules = check(Melodies(torch.full((1, 4, 16), 12), chords))  # C over C major
    assert rules == (1 / 8, 1.0, 0.0, 0.0, 0.0)  # the first note alone is new


def test_random_pitches_keep_to_the_rules_as_often_as_chance_says():
    generator = torch.Generator().manual_seed(0)
    chords = torch.randint(len(CHORDS), (2000, 4), generator=generator)
    rules = check(Melodies(torch.randint(N_PITCHES, (2000, 4, 16), generator=generator), chords))
    assert_close(rules.on_chord, 3 / 12 * (1 + 7 * 23 / 24) / 8, atol=0.01, rtol=0)
    assert_close(rules.in_scale, 7 / 12, atol=0.01, rtol=0)
    assert_close(rules.on_grid, 31 / (63 + 7 / 23), atol=0.01, rtol=0)  # of 63 steps 31 are even, 7 open a half


def test_codes_name_pitch_and_chord():
    pitches = some().pitches
    assert torch.equal(one_hot(pitches).argmax(-2), pitches)
    assert (one_hot(pitches).sum(-2) == 1).all()
    code = chord_code(torch.arange(len(CHORDS)))
    assert code.shape == (len(CHORDS), 13)
    assert code[:, :12].argmax(1).tolist() == [0, 2, 4, 5, 7, 9]
    assert code[:, 12].tolist() == [0, 1, 1, 0, 0, 1]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "00"),
        (0x40, "40"),
        (0x7F, "7f"),
        (0x80, "8100"),
        (0x2000, "c000"),
        (0x3FFF, "ff7f"),
        (0x0FFFFFFF, "ffffff7f"),
    ],
)
def test_lengths_of_time_are_coded_as_the_standard_shows(value, expected):
    assert variable_length(value).hex() == expected


def parse(data: bytes) -> tuple[int, list[Note]]:
    """(us a quarter, notes) of a file with one track: an independent reader."""
    assert data[:14] == b"MThd" + bytes([0, 0, 0, 6, 0, 0, 0, 1, 1, 0xE0])  # format 0, one track, 480 ticks a quarter
    assert data[14:18] == b"MTrk"
    track = data[22:]
    assert int.from_bytes(data[18:22], "big") == len(track)
    at, now, tempo = 0, 0, 0
    open_notes: dict[int, int] = {}
    notes = []
    while at < len(track):
        ticks = 0
        while True:
            byte = track[at]
            at += 1
            ticks = ticks << 7 | byte & 0x7F
            if not byte & 0x80:
                break
        now += ticks
        if track[at] == 0xFF:
            kind, length = track[at + 1], track[at + 2]
            if kind == 0x51:
                tempo = int.from_bytes(track[at + 3 : at + 3 + length], "big")
            at += 3 + length
            assert kind != 0x2F or at == len(track)  # the end is at the end
        elif track[at] == 0x90:
            open_notes[track[at + 1]] = now
            at += 3
        else:
            assert track[at] == 0x80
            start = open_notes.pop(track[at + 1])
            notes.append(Note(track[at + 1], start // 120, (now - start) // 120))
            at += 3
    assert open_notes == {}
    return tempo, notes


def test_a_file_read_back_has_the_same_notes():
    melody = (60 + some().pitches[0].flatten()).tolist()
    notes = notes_of(melody)
    assert [note.pitch for note in notes for _ in range(note.length)] == melody
    assert all(a.pitch != b.pitch for a, b in itertools.pairwise(notes))
    assert parse(write_midi(notes, quarters_per_minute=120)) == (500_000, notes)


def test_rests_are_kept():
    notes = [Note(60, 4, 2), Note(64, 100, 40)]
    assert parse(write_midi(notes))[1] == notes


@pytest.mark.parametrize("notes", [[Note(128, 0, 1)], [Note(60, 0, 0)], [Note(60, 0, 4), Note(62, 3, 1)]])
def test_notes_that_no_file_can_hold_are_refused(notes):
    with pytest.raises(ValueError, match="overlap"):
        write_midi(notes)
