"""The soak sees what grows, and a short one finds nothing."""

import json
import sys

import pytest

from benchmarks.reliability import soak
from gail_suite.errors import InputError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def watch(*, mebibytes, open_files=lambda i: 9, threads=lambda i: 2):
    found = soak.Watch(100)
    found.rows = [
        {
            "done": i,
            "hours": i / 10,
            "resident_bytes": mebibytes(i) * 2**20,
            "open_files": open_files(i),
            "threads": threads(i),
        }
        for i in range(100)
    ]
    return found.report()


def test_a_slope_counts_from_the_end_of_the_warm_up_on():
    settled = watch(mebibytes=lambda i: min(i, 20))
    assert settled["mib_per_hour"] == pytest.approx(0.0, abs=0.01)
    assert settled["is_sound"]
    growing = watch(mebibytes=lambda i: 100 + i)
    assert growing["growth_mib"] == pytest.approx(74.0, abs=0.01)
    assert growing["mib_per_hour"] == pytest.approx(10.0, abs=0.01)
    assert not growing["is_sound"]


def test_a_mebibyte_an_hour_is_the_limit():
    assert watch(mebibytes=lambda i: 100 + 0.09 * i)["is_sound"]
    assert not watch(mebibytes=lambda i: 100 + 0.11 * i)["is_sound"]


@pytest.mark.parametrize("what", ["open_files", "threads"])
def test_one_handle_too_many_is_a_leak(what):
    assert not watch(mebibytes=lambda i: 1, **{what: lambda i: 3 + (i > 90)})["is_sound"]


def test_samples_are_spread_over_the_time():
    found = soak.Watch(1000 * soak.N_SAMPLES)
    for done in range(0, 10_000, 100):
        found.at(done)
    assert [row["done"] for row in found.rows] == list(range(0, 10_000, 1000))


def test_a_short_one_finds_nothing_that_stays(tmp_path, capsys):
    path = tmp_path / "soak.json"
    config = soak.SoakConfig(env_steps=2048, updates=40, envs=12, json=path)
    code = soak.run(config, ["soak"])
    found = json.loads(path.read_text())
    assert set(found["rows"]) == {"training", "fitting", "environments"}
    environments = found["rows"]["environments"]
    assert environments["open_files_grown"] == environments["threads_grown"] == 0
    assert code == 0, capsys.readouterr().out
    with pytest.raises(InputError, match="--envs"):
        soak.run(soak.SoakConfig(envs=0), [])
