"""Sweeps on a Ray cluster: a stand-in where Ray is not installed, and Ray itself where it is."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.sweep import Case, SweepConfig, run_sweep
from gail_suite.errors import InputError
from tests.benchmarks.test_sweep import case, history

ROOT = Path(__file__).parents[2]


class RayError(Exception):
    """As Ray's."""


class FakeRay:
    """A cluster of one node with two processors that runs a task when it is given."""

    exceptions = SimpleNamespace(RayError=RayError)

    def __init__(self) -> None:
        self.settings: dict = {}
        self.is_up = False
        self.lost: str | None = None

    def init(self, **settings) -> None:
        if settings["address"] == "nowhere:1":
            raise ConnectionError("nobody there")
        self.settings, self.is_up = settings, True

    def nodes(self):
        return [{"Alive": True, "Resources": {"CPU": 2.0}}, {"Alive": False, "Resources": {"CPU": 64.0}}]

    def remote(self, **resources):
        self.resources = resources
        return lambda function: SimpleNamespace(
            remote=lambda case, *rest, **more: (case, function(case, *rest, **more))
        )

    def get(self, run):
        if run[0].name == self.lost:
            raise RayError("The node died.\nWhy, nobody knows.")
        return run[1]

    def shutdown(self) -> None:
        self.is_up = False


@pytest.fixture
def fake_ray(monkeypatch) -> FakeRay:
    ray = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return ray


def test_a_cluster_s_tasks_are_the_cases_with_their_processors(tmp_path, monkeypatch, fake_ray):
    monkeypatch.chdir(tmp_path)
    cases = [case(Path("here")), case(Path("here"), "fail", "two")]
    failed = run_sweep(cases, SweepConfig(ray="head:6379", threads=2))
    assert (fake_ray.settings["address"], fake_ray.resources["num_cpus"], fake_ray.is_up) == ("head:6379", 2, False)
    assert json.loads((tmp_path / "here" / "one" / "evaluation.json").read_text())["threads"] == "2"
    assert [line["exit_code"] for line in failed] == [3]
    with pytest.raises(InputError, match=r"no Ray cluster answers at 'nowhere:1' .* RAY_AUTH_MODE=token"):
        run_sweep(cases, SweepConfig(ray="nowhere:1"))


def test_local_never_joins_a_cluster_that_runs_already(tmp_path, fake_ray):
    assert run_sweep([case(tmp_path)], SweepConfig(ray="local")) == []
    assert fake_ray.settings["address"] == "local"


def test_a_run_larger_than_every_node_is_refused_and_not_waited_for(tmp_path, fake_ray):
    with pytest.raises(InputError, match="no node of the cluster has 3 processors, the largest has 2"):
        run_sweep([case(tmp_path)], SweepConfig(ray="local", threads=3))
    assert not fake_ray.is_up


def test_a_task_that_is_lost_is_a_failure_of_its_run_alone(tmp_path, fake_ray):
    fake_ray.lost = "one"
    cases = [case(tmp_path, "nothing"), case(tmp_path, name="two")]
    (failed,) = run_sweep(cases, SweepConfig(ray="local"))
    assert (failed["case"], failed["failed"]) == ("one", "Ray: RayError: The node died.")
    assert failed["log"][-1] == "Why, nobody knows."
    assert cases[1].has_ended


def test_ray_where_it_is_not_installed_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match="scale"):
        run_sweep([case(tmp_path)], SweepConfig(ray="local"))


@pytest.fixture(scope="module")
def real_ray():
    """Ray with a token of the tests' own, whatever a user keeps in ~/.ray: it is read once, when Ray is imported."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_AUTH_MODE", "token")
        environment.setenv("RAY_AUTH_TOKEN", "a" * 64)
        environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
        yield pytest.importorskip("ray", reason="Ray is not installed (the extra `scale`)")


@pytest.fixture(scope="module")
def address(real_ray):
    """Of a cluster on this machine that is the test's own."""
    # agents that choose their ports themselves have 15 seconds to name them, which a busy machine may not give them
    agents = ("dashboard-agent-grpc-port", "dashboard-agent-listen-port", "runtime-env-agent-port")
    names = ("port", "ray-client-server-port", *agents)
    with ExitStack() as held:
        free = [held.enter_context(socket.socket()) for _ in names]
        for each in free:
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in free]
    flags = ["--head", "--block", "--node-ip-address=127.0.0.1", "--num-cpus=2", "--object-store-memory=100000000"]
    flags += ["--include-dashboard=false", *(f"--{name}={port}" for name, port in zip(names, ports, strict=True))]
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", *flags]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    head = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    assert head.stdout is not None
    said = []
    for line in head.stdout:
        said.append(line)
        if "Ray runtime started" in line:
            break
    assert head.poll() is None, "".join(said)
    yield f"127.0.0.1:{ports[0]}"
    head.send_signal(signal.SIGTERM)
    head.communicate(timeout=60)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_cluster_at_an_address_runs_the_same_cases(tmp_path, address):
    cases = [case(tmp_path, "fail"), case(tmp_path, name="two")]
    failed = run_sweep(cases, SweepConfig(ray=address, threads=1))
    assert [(line["case"], line["exit_code"]) for line in failed] == [("one", 3)]
    assert failed[0]["log"] == ["this one says fail", "error: the dog ate it"]
    assert cases[1].has_ended
    assert run_sweep(cases, SweepConfig(ray=address)) == []  # resumed, which mends it
    with pytest.raises(InputError, match="no node of the cluster has 3 processors"):
        run_sweep([case(tmp_path, name="three")], SweepConfig(ray=address, threads=3))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_sweep_that_is_stopped_tells_its_runs_and_goes_on(tmp_path, address, number):
    code = f"""
from pathlib import Path
from benchmarks.sweep import SweepConfig, run_sweep
from gail_suite.cli import run_verb
from tests.benchmarks.test_sweep import case
cases = [case(Path({str(tmp_path)!r}), "wait", name) for name in ("a", "b")]
run_verb(lambda: run_sweep(cases, SweepConfig(ray={address!r}, threads=2)) and 1)
"""
    hears = partial(signal.signal, signal.SIGINT, signal.default_int_handler)  # whoever tests may be deaf to it
    sweep = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, preexec_fn=hears)
    while not (tmp_path / "a" / "waiting").exists():
        assert sweep.poll() is None
        time.sleep(0.05)
    sweep.send_signal(number)
    assert sweep.wait(120) == 130
    assert (tmp_path / "a" / "told").exists()
    assert not (tmp_path / "a" / "failure.json").exists()
    assert not (tmp_path / "b" / "runs").exists()  # one of two processors fits at a time
    cases: list[Case] = [case(tmp_path, "wait", "a")]
    assert run_sweep(cases, SweepConfig(ray=address)) == []
    assert history(cases[0]) == ["began", "resumed"]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("real_ray")
def test_a_cluster_of_its_own_runs_the_same_cases(tmp_path):
    cases = [case(tmp_path), case(tmp_path, "fail", "two")]
    failed = run_sweep(cases, SweepConfig(ray="local", threads=1))
    assert cases[0].has_ended
    assert [line["exit_code"] for line in failed] == [3]
