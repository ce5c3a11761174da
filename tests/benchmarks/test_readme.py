"""The README's tables come from JSON and from nothing else."""

import json

import pytest

from benchmarks import readme, tables
from benchmarks.collect import name, result
from benchmarks.provenance import anywhere
from gail_suite.errors import InputError
from gail_suite.run_directory import RunDirectory


def found(seed: int, normalised: float, minutes: float = 2.0) -> dict:
    row = {"return_mean": 1000.0 * normalised, "displacement_mean": 10.0, "normalised_return": normalised}
    return {
        "env": "Ant-v4",
        "seed": seed,
        "n_demos": 4,
        "pairs": 166,
        "subsample": 20,
        "warm_start": True,
        "env_steps": 1_000_000,
        "wall_clock_s": 60 * minutes,
        "command": f"python -m gail_suite.train --seed {seed}",
        **dict.fromkeys(("policy", "last", "behavioural_cloning", "expert"), row),
    }


def test_row_shows_every_seed_in_order_and_the_mean():
    text = tables.imitation([found(1, 0.5), found(0, 0.25, minutes=4.0)]).markdown()
    (row,) = text.splitlines()[2:]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[0] == "Ant-v4, 4 x every 20th pair (166 pairs), 1 M steps"
    assert cells[1] == "0.250, 0.500"
    assert cells[2] == "375 (10 m)"
    assert cells[6] == "-"  # no control was run
    assert cells[8] == "4.0, 2.0"


def test_other_amounts_of_data_are_other_rows():
    other = found(0, 0.5) | {"n_demos": 1}
    assert len(tables.imitation([found(0, 0.5), other]).rows) == 2


def test_runs_of_another_commit_reward_or_number_of_episodes_are_never_averaged():
    for change in ({"commit": "b"}, {"reward": "airl"}, {"episodes": 25}):
        first = found(0, 0.25) | {"commit": "a", "reward": "gail", "episodes": 50}
        rows = tables.imitation([first, found(1, 0.75) | first | {"seed": 1} | change]).rows
        assert len(rows) == 2
        assert all(str(next(iter(change.values()))) in row.cells[0] for row in rows[1:])
        assert [run["seed"] for row in rows for run in row.runs] == [0, 1]


def test_seeds_of_one_commit_have_an_interval_and_tasks_of_one_commit_a_row():
    ant = [found(seed, 0.5 + seed / 10) | {"commit": "a"} for seed in range(2)]
    hopper = [found(0, 0.9) | {"commit": "a", "env": "Hopper-v4"}]
    walker = [found(0, 0.1) | {"commit": "b", "env": "Walker2d-v4"}]
    table = tables.of_seeds([*ant, *hopper, *walker])
    assert table.header[1:5] == ("what the interval is", "seeds", "IQM of seeds", "95 % interval")
    rows = table.rows
    assert [row.cells[3] for row in rows] == ["0.550", "0.900", "0.100", "0.667"]
    assert rows[0].cells[4] == "[0.500, 0.600]"
    assert "fewer than 3" in rows[0].cells[1]
    assert [rows[1].cells[4], rows[1].cells[1]] == ["-", "none: one seed"]
    assert rows[3].cells[0] == "all 2 rows of commit a"


def test_only_marked_sections_are_written_on_whichever_page_they_stand(tmp_path):
    text = "before\n<!-- imitation -->\nold\n<!-- end -->\nafter\n"
    pages = {tmp_path / "a.md": "nothing\n", tmp_path / "b.md": text}
    filled = readme.fill(pages, {"imitation": "new \\1 table"})
    assert list(filled.values()) == ["nothing\n", "before\n<!-- imitation -->\nnew \\1 table\n<!-- end -->\nafter\n"]
    with pytest.raises(InputError, match=r"no section '<!-- other -->' .* in a.md, b.md"):
        readme.fill(pages, {"other": "x"})


def test_the_newest_are_all_seeds_of_the_version_that_ran_last():
    old = [found(seed, 0.9) | {"commit": "a", "began": f"2026-01-0{seed + 1}"} for seed in range(2)]
    new = [found(seed, 0.5) | {"commit": "b", "began": "2026-02-01", "env_steps": 5} for seed in range(2)]
    before_dates = found(0, 0.1) | {"commit": "c"}
    alone = found(0, 0.2) | {"commit": "a", "n_demos": 1}
    assert tables.newest([before_dates, *old, *new, alone]) == [*new, alone]


def test_published_commands_say_nothing_of_the_machines_places():
    command = "python -m benchmarks.images --model nade --data-dir /data --seed 1 --out=/tmp/x"
    kept = anywhere({"command": command, "seed": 1})
    assert kept == {"command": "python -m benchmarks.images --model nade --data-dir DATA --seed 1", "seed": 1}


def test_collected_result_carries_commit_and_curve(tmp_path):
    run = RunDirectory(tmp_path)
    with pytest.raises(InputError, match="--resume"):
        result(run, "abc")
    ran = found(3, 0.5) | {"command": "python -m gail_suite.train --out /somewhere/else --seed 3"}
    run.evaluation_file.write_text(json.dumps(ran))
    run.append_metrics({"env_steps": 10, "wall_clock_s": 1.0, "eval/return_mean": 5.0})
    run.append_metrics({"env_steps": 20, "wall_clock_s": 2.0})
    kept = result(run, "abc")
    assert kept["commit"] == "abc"
    assert kept["command"] == "python -m gail_suite.train --seed 3"
    assert kept["curve"] == [{"env_steps": 10, "wall_clock_s": 1.0, "return_mean": 5.0}]
    assert name(kept) == "Ant-v4-4x-every20-166pairs-warm-1000000-s3"
