"""Standard MIDI files, written by hand: one track of one voice."""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

TICKS_PER_QUARTER = 480


class Note(NamedTuple):
    """One note, its times in sixteenths."""

    pitch: int
    """MIDI's number, 60 is the middle C."""
    start: int
    length: int


def notes_of(pitches: Sequence[int]) -> list[Note]:
    """A melody with one pitch for each sixteenth -> its notes: equal neighbours are one note."""
    notes, start = [], 0
    for pitch, run in groupby(pitches):
        length = len(list(run))
        notes.append(Note(pitch, start, length))
        start += length
    return notes


def write_midi(notes: Sequence[Note], *, quarters_per_minute: float = 110.0, velocity: int = 96) -> bytes:
    """A file of format 0 with these notes, in order and one after the other, on the first channel.

    Raises ValueError for notes that overlap, have no length, or lie outside MIDI's 0 to 127.
    """
    track = _event(0, b"\xff\x51\x03" + round(60e6 / quarters_per_minute).to_bytes(3, "big"))  # us a quarter
    now = 0
    for note in notes:
        if not 0 <= note.pitch <= 127 or note.length < 1 or note.start < now:
            raise ValueError(f"notes go from 0 to 127, have a length and do not overlap, got {note} at sixteenth {now}")
        track += _event(note.start - now, bytes([0x90, note.pitch, velocity]))
        track += _event(note.length, bytes([0x80, note.pitch, 0]))
        now = note.start + note.length
    track += _event(0, b"\xff\x2f\x00")  # end of the track
    header = (0).to_bytes(2, "big") + (1).to_bytes(2, "big") + TICKS_PER_QUARTER.to_bytes(2, "big")
    return _chunk(b"MThd", header) + _chunk(b"MTrk", track)


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + len(data).to_bytes(4, "big") + data


def _event(sixteenths: int, message: bytes) -> bytes:
    return variable_length(sixteenths * TICKS_PER_QUARTER // 4) + message


def variable_length(value: int) -> bytes:
    """A whole number, seven bits a byte with the highest first; all bytes but the last have their top bit set."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F | 0x80)
    return bytes(reversed(groups))
