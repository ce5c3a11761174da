"""The campaign over strangers' files: it sees what it should refuse, and the readers pass a short one."""

import contextlib
import os
import signal
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.images.config import config_from_dict as image_config_from_dict
from benchmarks.reliability import fuzz
from benchmarks.reliability.hostile import HOSTILE
from benchmarks.reliability.mutations import damage, damage_json
from benchmarks.reliability.samples import Sample, make_samples
from gail_suite.config import config_from_dict
from gail_suite.errors import InputError
from gail_suite.fields import fits
from gail_suite.run_directory import RunDirectory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory and forks as Linux does")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["env", "n_envs", "ppo", "hidden", "reward", "env_kwargs", "off_policy", "critic", "lr", "x"])


def write_abroad(place):
    (place.parents[1] / "abroad").write_text("")


def run_out_of_memory(place):
    np.ones(32 << 20, np.float64)


def take_a_lot(place):
    np.ones(10 << 20, np.float64)


@pytest.mark.parametrize(
    ("read", "problem"),
    [
        (lambda place: None, None),
        (lambda place: _refuse("one line"), None),
        (lambda place: 1 / 0, "ended with code 70: ZeroDivisionError: division by zero"),
        (lambda place: os.kill(os.getpid(), signal.SIGUSR1), "ended with code -10: nothing said"),
        (lambda place: os.kill(os.getpid(), signal.SIGXCPU), "took too long"),
        (lambda place: print("\x1b[31mred"), "control characters in the terminal"),
        (lambda place: print("error: a\nerror: b") or _refuse("c"), "more than a line"),
        (write_abroad, "wrote abroad"),
        (run_out_of_memory, "took too much memory"),
        (take_a_lot, "took too much memory"),
    ],
)
def test_a_reader_that_does_wrong_is_found_out(tmp_path, monkeypatch, read, problem):
    monkeypatch.setattr(fuzz, "MAX_BYTES", 64 << 20)
    folder = tmp_path / "case"
    folder.mkdir()
    tally = fuzz.Tally()
    assert fuzz.judge(Sample(folder / "f", folder / "f", read), tmp_path, tally) == problem
    assert tally.read + tally.refused == (problem is None or ("ended" not in problem and problem != "took too long"))


def _refuse(text):
    raise InputError(text)


def test_what_is_sound_is_read_under_odd_names_too(tmp_path):
    tally = fuzz.Tally()
    for kind, sample in make_samples(tmp_path / "sound").items():
        for odd in (False, True):
            case = fuzz._lay_out(sample, tmp_path / "case", odd=odd)
            assert fuzz.judge(case, tmp_path, tally) is None, kind
            assert tally.refused == 0, f"{kind}: {(tmp_path / 'output').read_text()}"


def test_readers_pass_a_short_campaign(tmp_path):
    kinds = make_samples(tmp_path / "kinds")
    n_hostile = sum(len(makers) for kind, makers in HOSTILE.items() if kind in kinds)
    tallies = fuzz.campaign(tmp_path, n_hostile + 26, seed=1)
    assert {name: tally.wrong for name, tally in tallies.items() if tally.wrong} == {}
    assert sum(tally.hostile for tally in tallies.values()) == n_hostile
    assert sum(tally.refused for tally in tallies.values()) > n_hostile


def test_damage_is_repeatable_and_changes_something():
    content = bytes(range(256)) * 4
    rngs = [np.random.default_rng(3) for _ in range(2)]
    made = [[damage(content, rng) for _ in range(50)] for rng in rngs]
    assert made[0] == made[1]
    assert sum(other != content for other in made[0]) >= 49
    rng = np.random.default_rng(0)
    text = b'{\n "a": {"b": [1, 2]},\n "c": "d"\n}\n'
    assert len({damage_json(text, rng) for _ in range(50)}) > 20


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a busy machine
@given(st.dictionaries(NAMES, JSON | st.dictionaries(NAMES, JSON, max_size=3), max_size=4))
def test_a_configuration_is_read_or_refused_with_a_line(values):
    with contextlib.suppress(InputError):
        config_from_dict(values).check()
    with contextlib.suppress(InputError, TypeError):  # of which its folder makes a line
        image_config_from_dict(values)


@pytest.mark.parametrize(
    ("value", "hint", "is_fit"),
    [
        (1, int, True),
        (True, int, False),
        (1, float, True),
        (10**400, float, False),
        (10**400, int, True),
        ("1", float, False),
        (None, float | None, True),
        ((1, 2), tuple[int, ...], True),
        ((1, "2"), tuple[int, ...], False),
        ({"a": "b"}, dict[str, str], True),
        ({"a": 1}, dict[str, str], False),
    ],
)
def test_a_value_fits_its_field(value, hint, is_fit):
    assert fits(value, hint) is is_fit


def test_lines_of_a_log_that_are_no_rows_are_left_out(tmp_path):
    run = RunDirectory(tmp_path)
    run.append_metrics({"env_steps": 1, "x": 0.5})
    with run.metrics_file.open("ab") as file:
        file.write(b'[1]\n{"env_steps": "many"}\n{"x": 1}\n\xff\xfe\n' + b"[" * 100_000 + b"\n")
    run.append_metrics({"env_steps": 2, "x": float("nan")})
    assert [row["env_steps"] for row in run.metrics()] == [1, 2]


def test_names_in_an_archive_are_never_places_on_the_disk(tmp_path):
    from gail_suite.demonstrations.archive import NpzArchive

    path = tmp_path / "inside" / "a.npz"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../abroad.npy", b"")
    with pytest.raises(InputError, match="is damaged"):
        NpzArchive(path)["../abroad"]
    assert [p.name for p in tmp_path.rglob("*")] == ["inside", "a.npz"]
