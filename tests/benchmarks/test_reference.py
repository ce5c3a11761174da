"""The figures behind the normalised return: what is kept, and that measuring one task leaves the others."""

import json

import pytest

from benchmarks import reference
from envs import reference_returns
from envs.reference import PATH
from gail_suite.errors import InputError
from gail_suite.evaluation import FINAL_SEED

KEPT = {*reference.FIELDS, "command"}


def test_both_ends_are_measured_and_other_tasks_stay(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))  # no experts of the user
    file = tmp_path / "reference.json"
    file.write_text(json.dumps({"Other-v0": {"random": {"return_mean": 1.0}}}))
    arguments = ["--env", "Ant-v4", "--episodes", "2", "--file", str(file)]
    reference.main(arguments)
    kept = json.loads(file.read_text())
    assert list(kept) == ["Ant-v4", "Other-v0"]
    assert kept["Other-v0"] == {"random": {"return_mean": 1.0}}
    ends = kept["Ant-v4"]
    assert set(ends) == {"random", "expert", "demonstrator"}
    for row in ends.values():
        assert set(row) == KEPT
        assert row["episodes"] == 2
        assert row["command"] == f"python -m benchmarks.reference --env Ant-v4 --episodes 2 --file {file}"
    assert ends["expert"]["return_mean"] > 5000 > ends["random"]["return_mean"]
    assert "Ant-v4 expert" in capsys.readouterr().out


def test_task_without_an_expert_gets_the_random_end_only(tmp_path, monkeypatch):
    monkeypatch.setattr(reference, "available_experts", dict)
    file = tmp_path / "reference.json"
    reference.main(["--env", "Hopper-v4", "--episodes", "3", "--file", str(file)])
    first = json.loads(file.read_text())
    assert set(first["Hopper-v4"]) == {"random"}
    reference.main(["--env", "Hopper-v4", "--episodes", "3", "--file", str(file)])
    assert json.loads(file.read_text()) == first  # seeded


def test_expert_of_the_user_is_not_measured_for_the_package(tmp_path, monkeypatch):
    monkeypatch.setattr(reference, "available_experts", lambda: {"Hopper-v4": tmp_path / "Hopper-v4.safetensors"})
    file = tmp_path / "reference.json"
    reference.main(["--env", "Hopper-v4", "--episodes", "1", "--file", str(file)])
    assert set(json.loads(file.read_text())["Hopper-v4"]) == {"random"}


def test_no_episodes_are_refused(tmp_path):
    with pytest.raises(InputError, match="--episodes"):
        reference.main(["--env", "Hopper-v4", "--episodes", "0", "--file", str(tmp_path / "reference.json")])


def test_seeds_are_apart_from_those_of_evaluations():
    assert abs(reference.SEED - FINAL_SEED) > 1_000_000


@pytest.mark.skipif(not PATH.exists(), reason="nothing is measured yet")
def test_committed_figures_are_over_enough_episodes_and_in_order():
    for env_id in json.loads(PATH.read_text()):
        ends = reference_returns(env_id)
        assert ends is not None
        for row in ends.values():
            assert set(row) == KEPT
            assert row["episodes"] >= 200
            assert row["return_ci95"][0] <= row["return_iqm"] <= row["return_ci95"][1]
        if "expert" in ends:
            assert ends["expert"]["return_mean"] > ends["random"]["return_mean"]
