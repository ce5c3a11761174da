"""A study from the command line to its table, and that nothing is trained twice."""

import json
import shlex

import numpy as np
import pytest

from benchmarks.imitation import __main__ as command_line
from benchmarks.imitation import peer, study
from benchmarks.imitation.cases import REWARDS, STUDIES
from gail_suite.config import TrainConfig
from gail_suite.errors import InputError
from gail_suite.presets import preset
from gail_suite.train import parse
from tests.gail_suite.helpers import demonstrations
from tests.gail_suite.test_train_cli import FAST


def without(flags: list[str]) -> list[str]:
    """Those that a study gives itself."""
    return [flag for flag in flags[2:] if flag not in ("--no-controls", "--no-video")]


def row(variant: str, seed: int, value: float | None) -> dict:
    return {
        "variant": variant,
        "seed": seed,
        "normalised_return": value,
        "last": value,
        "displacement": None,
        "cloning": 0.25,
        "steps_to_good": 4000,
        "wall_clock_s": 90.0,
        "curve": [[0, 0.1], [4000, value]],
    }


def test_every_flag_of_every_study_is_one_of_train():
    for variants in STUDIES.values():
        for flags in variants.values():
            own = flags[2:] if flags[:1] == ("--peer",) else flags
            assert isinstance(parse(["--env", "Ant-v4", *own]), TrainConfig)
    assert parse(["--env", "Ant-v4", *STUDIES["regulariser"]["R1"]]).critic.r1_penalty == 2
    assert parse(["--env", "Ant-v4", *STUDIES["regulariser"]["default"]]) == preset("Ant-v4")
    assert set(STUDIES["reward"]) >= set(REWARDS)


def test_table_shows_every_seed_and_what_is_not_known():
    found = {"rows": [row("a", 0, 0.5), row("a", 1, 0.75), row("b", 0, None)]}
    assert study.table_rows(found) == [
        ["a", "0.500, 0.750", "0.500, 0.750", "-, -", "4,000, 4,000", "1.5", "0.250"],
        ["b", "-", "-", "-", "4,000", "1.5", "0.250"],
    ]


def test_the_first_look_that_is_good_is_told(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    scale = {"random": 100.0, "expert": 1100.0}
    evaluation = {"scale": scale, "seed": 3, "env_steps": 30, "pairs": 5, "wall_clock_s": 1.0, "policy": {}, "last": {}}
    (run / "evaluation.json").write_text(json.dumps(evaluation))
    returns = [100.0, 950.0, 1050.0, 990.0]
    looks = [{"env_steps": 10 * i, "eval/return_mean": value} for i, value in enumerate(returns)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(look) + "\n" for look in looks))
    found = study.row("a", study.RunDirectory(run))
    assert found["steps_to_good"] == 20
    np.testing.assert_allclose([value for _, value in found["curve"]], [0.0, 0.85, 0.95, 0.89])


def test_a_study_trains_each_run_once_and_goes_on_where_it_was_stopped(tmp_path, capfd):
    rng = np.random.default_rng(0)
    demos = tmp_path / "hopper.npz"
    demonstrations(rng.normal(size=(100, 11)), rng.uniform(-1, 1, (100, 3)), env_id="Hopper-v4").save(demos)
    flags = shlex.join([*without(FAST), "--demos", str(demos), "--total-env-steps", "256"])
    arguments = [
        "ablate",
        "--studies",
        "reward",
        "--env",
        "Hopper-v4",
        "--variants",
        "gail",
        "least-squares",
        "--seeds",
        "1",
    ]
    arguments += ["--out", str(tmp_path / "studies"), f"--flags={flags}"]
    assert command_line.main(arguments) == 0
    folder = tmp_path / "studies" / "Hopper-v4" / "reward"
    found = json.loads((folder / "study.json").read_text())
    assert [run["variant"] for run in found["rows"]] == ["gail", "least-squares"]
    assert (folder / "curves.png").stat().st_size > 1000
    assert "| least-squares |" in capfd.readouterr().out
    before = (folder / "gail-s0" / "evaluation.json").stat().st_mtime_ns
    (folder / "least-squares-s0" / "evaluation.json").unlink()  # as if it had been stopped
    assert command_line.main(arguments) == 0
    assert (folder / "gail-s0" / "evaluation.json").stat().st_mtime_ns == before
    assert (folder / "least-squares-s0" / "evaluation.json").exists()


def test_runs_that_fail_are_named_and_the_others_go_on(tmp_path, capfd):
    arguments = ["ablate", "--studies", "view", "--env", "Nowhere-v0", "--seeds", "1", "--out", str(tmp_path)]
    assert command_line.main([*arguments, "--variants", "state"]) == 1
    assert "failed: state, seed 0 (exit code 2)" in capfd.readouterr().err


@pytest.mark.parametrize("name", peer.PEERS)
def test_a_peer_is_trained_on_the_same_demonstrations_and_judged_alike(tmp_path, monkeypatch, name):
    demos = tmp_path / "hopper.npz"
    rng = np.random.default_rng(0)
    demonstrations(rng.normal(size=(20, 11)), rng.uniform(-1, 1, (20, 3)), env_id="Hopper-v4").save(demos)
    settings = peer.tuned(name)
    settings["rl"]["batch_size"] = 128
    settings["algorithm_kwargs"] |= {"gen_replay_buffer_capacity": 128, "n_disc_updates_per_round": 1}
    monkeypatch.setattr(peer, "tuned", lambda _: settings)
    run = tmp_path / "run"
    flags = "--env Hopper-v4 --total-env-steps 256 --eval-every 128 --eval-episodes 2 --select-episodes 1 --threads 1"
    assert peer.main(["--peer", name, *flags.split(), "--demos", str(demos), "--out", str(run)]) == 0
    found = study.row(name, study.RunDirectory(run))
    assert found["pairs"] == 20
    assert found["env_steps"] == 256
    assert [steps for steps, _ in found["curve"]] == [0, 128, 256]
    assert found["command"].startswith("python -m benchmarks.imitation.peer")
    assert found["normalised_return"] is not None


def test_a_variant_s_own_flags_win_and_a_peer_comes_first():
    own = STUDIES["reward"]["imitation's GAIL"]
    given = command_line.ordered(own, ["--total-env-steps", "500000", "--n-demos", "4"])
    assert given[:2] == ["--peer", "gail"]
    assert parse(given[2:]).total_env_steps == 300_000
    assert parse(given[2:]).n_demos == 4
    with pytest.raises(InputError, match="--peer"):
        peer.main(["--env", "Hopper-v4"])
    with pytest.raises(InputError, match="--out"):
        peer.main(["--peer", "gail", "--env", "Hopper-v4"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ablate", "--studies", "weather"], "no study"),
        (["ablate", "--studies", "reward", "--variants", "gail", "sunshine"], "no variant 'sunshine'"),
        (["ablate", "--variants", "gail"], "one study"),
        (["ablate", "--seeds", "0"], "--seeds"),
        (["--env", "Ant-v4"], "ablate"),
    ],
)
def test_bad_input_is_one_line(arguments, message):
    with pytest.raises(InputError, match=message):
        command_line.main(arguments)
