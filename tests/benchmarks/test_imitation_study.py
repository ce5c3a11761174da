"""A study from the command line to its table, and that nothing is trained twice."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from benchmarks.imitation import __main__ as command_line
from benchmarks.imitation import baseline, peer, published, study
from benchmarks.imitation.cases import MODULES, PEERS, REWARDS, STUDIES, comparison
from benchmarks.imitation.config import SMOKE, Compare
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
            assert isinstance(parse(["--env", "Ant-v4", *study.split(flags)[1]]), TrainConfig)
    for found in (*Compare(rewards=REWARDS, algos=("ppo", "sac")).studies(), *SMOKE.studies()):
        for case in found.cases(seed=1):
            leading, own = study.split(case.flags)
            config = parse(list(own))
            assert (config.seed, config.select, config.controls, config.subsample) == (1, "last", False, 20)
            assert case.module == (MODULES[leading[0]] if leading else "gail_suite.train")
    assert parse(["--env", "Ant-v4", *STUDIES["regulariser"]["R1"]]).critic.r1_penalty == 2
    assert parse(["--env", "Ant-v4", *STUDIES["regulariser"]["default"]]) == preset("Ant-v4")
    assert set(STUDIES["reward"]) >= set(REWARDS)


def test_table_shows_every_seed_and_what_is_not_known():
    found = {"rows": [row("a", 0, 0.5), row("a", 1, 0.75), row("b", 0, None)], "failed": ["c, seed 0 (exit code 2)"]}
    assert study.table_rows(found) == [
        ["a", "0.500, 0.750", "0.625 [0.500, 0.750]", "0.500, 0.750", "-, -", "4,000, 4,000", "1.5", "0.250"],
        ["b", "-", "-", "-", "-", "4,000", "1.5", "0.250"],
        ["c, seed 0 (exit code 2)", "failed", "-", "-", "-", "-", "-", "-"],
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
    assert found["curve_seconds"] == [None] * 4  # as older runs left it
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
    written = capfd.readouterr()
    assert "failed: Nowhere-v0, view: state, seed 0 (exit code 2: error: " in written.err
    assert "| state, seed 0 (exit code 2) | failed |" in written.out
    found = json.loads((tmp_path / "Nowhere-v0" / "view" / "study.json").read_text())
    assert found["rows"] == []
    assert found["failed"] == ["state, seed 0 (exit code 2)"]
    assert found["failures"][0]["exit_code"] == 2
    assert {"command", "commit", "versions", "seeds", "device", "seconds", "processor"} <= set(found)


def test_rows_are_of_the_folders_of_their_variant_alone_in_the_order_of_seeds(tmp_path):
    found = study.Study("Ant-v4", "comparison 4x20", {"gail": (), "gail, sac": ()}, (), tmp_path)
    for variant, seed in (("gail", 10), ("gail", 9), ("gail, sac", 0)):
        folder = found.case(variant, seed).folder
        folder.mkdir(parents=True)
        ended = {"scale": {"random": 0.0, "expert": 2.0}, "seed": seed, "env_steps": 1, "pairs": 1, "wall_clock_s": 1.0}
        judged = {"normalised_return": 0.5, "returns": [0.0, 2.0]}
        (folder / "evaluation.json").write_text(json.dumps(ended | {"policy": judged, "last": judged}))
    rows = study.collect(found)["rows"]
    assert [(run["variant"], run["seed"]) for run in rows] == [("gail", 9), ("gail", 10), ("gail, sac", 0)]
    assert rows[0]["normalised_episodes"] == [0.0, 1.0]


def test_a_comparison_has_its_controls_and_its_peers_and_the_protocol_its_amounts():
    variants = comparison(("gail", "constant"), ("ppo", "sac"), PEERS, 1_000_000)
    names = ["gail", "gail, sac", "constant reward", "behavioural cloning", "random"]
    assert list(variants) == [*names, "imitation's GAIL", "imitation's AIRL", "imitation's BC"]
    assert variants["imitation's GAIL"][-1] == "300000"
    assert comparison((), ("ppo",), PEERS, 8192)["imitation's AIRL"][-1] == "8192"
    paper = Compare(env=("Ant-v4", "Humanoid-v4"), protocol="2016").studies()
    assert [found.name for found in paper[:5]] == [f"comparison {n}x20" for n in (4, 11, 18, 25, 80)]
    assert published.n_demos_of("Humanoid-v4") == (80, 160, 240)
    assert Compare(n_demos=(2,), protocol="2016").studies()[0].common[:2] == ("--n-demos", "2")


@pytest.fixture
def demos(tmp_path) -> str:
    rng = np.random.default_rng(0)
    path = tmp_path / "hopper.npz"
    demonstrations(rng.normal(size=(20, 11)), rng.uniform(-1, 1, (20, 3)), env_id="Hopper-v4").save(path)
    return str(path)


JUDGED = [
    "--env",
    "Hopper-v4",
    "--eval-every",
    "128",
    "--eval-episodes",
    "2",
    "--select-episodes",
    "1",
    "--threads",
    "1",
]


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_is_trained_on_the_same_demonstrations_and_judged_alike(tmp_path, monkeypatch, demos, name):
    settings = peer.tuned(name, "Hopper-v4")
    if name != "bc":
        settings["rl"]["batch_size"] = 128
        settings["rl"]["rl_kwargs"]["batch_size"] = 64
        settings["algorithm_kwargs"] |= {"gen_replay_buffer_capacity": 128, "n_disc_updates_per_round": 1}
    monkeypatch.setattr(peer, "tuned", lambda *_: settings)
    monkeypatch.setattr(peer, "MIN_BC_BATCHES", 20)
    run = tmp_path / "run"
    flags = [*JUDGED, "--demos", demos, "--total-env-steps", "256", "--out", str(run)]
    assert peer.main(["--peer", name, *flags]) == 0
    found = study.row(name, study.RunDirectory(run))
    assert found["pairs"] == 20
    assert found["env_steps"] == (0 if name == "bc" else 256)
    assert [steps for steps, _ in found["curve"]] == ([0] if name == "bc" else [0, 128, 256])
    assert found["curve_seconds"] == sorted(found["curve_seconds"])
    assert found["command"].startswith("python -m benchmarks.imitation.peer")
    assert np.isfinite(found["return_mean"])
    # these demonstrations are not the task's own, and nobody knows what they were worth
    assert found["normalised_return"] is None


@pytest.mark.parametrize("name", baseline.BASELINES)
def test_a_baseline_is_judged_as_a_run_is(tmp_path, demos, name):
    run = tmp_path / "run"
    flags = [*JUDGED, "--demos", demos, "--cloning.max-updates", "20", "--out", str(run)]
    assert baseline.main(["--baseline", name, *flags]) == 0
    found = study.row(name, study.RunDirectory(run))
    assert (found["env_steps"], found["pairs"], len(found["curve"])) == (0, 20, 1)
    judged = json.loads((run / "evaluation.json").read_text())
    assert len(judged["policy"]["returns"]) == 2
    assert judged["scale"]["expert"] is None
    assert np.isfinite(judged["scale"]["random"])


def test_a_variant_s_own_flags_win_and_a_peer_comes_first():
    found = study.Study(
        "Ant-v4", "reward", STUDIES["reward"], ("--total-env-steps", "500000", "--n-demos", "4"), Path()
    )
    given = found.case("imitation's GAIL", seed=2).flags
    assert given[:2] == ("--peer", "gail")
    config = parse(list(given[2:]))
    assert (config.total_env_steps, config.n_demos, config.seed, config.controls) == (300_000, 4, 2, False)
    assert found.case("flow", seed=0).folder == Path("Ant-v4/reward/flow-s0")
    with pytest.raises(InputError, match="--peer"):
        peer.main(["--env", "Hopper-v4"])
    with pytest.raises(InputError, match="--out"):
        peer.main(["--peer", "gail", "--env", "Hopper-v4"])


def test_a_peer_s_settings_are_those_of_its_body():
    assert peer.tuned("gail", "Hopper-v4") != peer.tuned("gail", "Ant-v4") == peer.tuned("gail", "Humanoid-v4")
    for body in peer.TUNED_FOR:
        for name in ("gail", "airl"):
            assert peer.policy_settings(peer.tuned(name, f"{body}-v4"))[1]["features_extractor_kwargs"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ablate", "--studies", "weather"], "no study"),
        (["ablate", "--studies", "reward", "--variants", "gail", "sunshine"], "no variant 'sunshine'"),
        (["ablate", "--variants", "gail"], "one study"),
        (["ablate", "--seeds", "0"], "--seeds"),
        (["--rewards", "sunshine"], "--rewards has no 'sunshine'"),
        (["--algos", "dqn"], "--algos"),
        (["--peers", "dagger"], "--peers"),
        (["--jobs", "0"], "--jobs"),
        (["--protocol", "2016", "--subsample", "10"], "2016"),
    ],
)
def test_bad_input_is_one_line(arguments, message):
    with pytest.raises(InputError, match=message):
        command_line.main(arguments)


@pytest.mark.slow
def test_a_comparison_from_the_command_line_to_its_table(tmp_path, capfd):
    flags = shlex.join(without(FAST))
    arguments = [
        "--env",
        "Hopper-v4",
        "--seeds",
        "2",
        "--peers",
        "bc",
        "--total-env-steps",
        "256",
        "--jobs",
        "2",
        "--subsample",
        "1",
    ]
    assert command_line.main([*arguments, "--threads", "1", "--out", str(tmp_path), f"--flags={flags}"]) == 0
    folder = tmp_path / "Hopper-v4" / "comparison-4x1"
    found = json.loads((folder / "study.json").read_text())
    names = ["gail", "constant reward", "behavioural cloning", "random", "imitation's BC"]
    assert [(run["variant"], run["seed"]) for run in found["rows"]] == [(name, s) for name in names for s in (0, 1)]
    assert [line["over"] for line in found["statistics"]["improvement"]] == names[1:]
    assert set(found["statistics"]["curves"]["env_steps"]) == set(names)
    assert (folder / "curves.png").stat().st_size > 1000
    assert "| imitation's BC |" in capfd.readouterr().out
