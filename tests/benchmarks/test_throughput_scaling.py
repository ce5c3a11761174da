"""What `scaling` measures at each point, and what is made of it.  No test depends on how fast anything is."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from rich.console import Console

from benchmarks import readme, tables
from benchmarks.report.schema import problems
from benchmarks.throughput import scaling, scaling_lines, scaling_picture
from benchmarks.throughput.core_pairs import Sizes
from benchmarks.throughput.scaling import ScalingConfig, measure, measure_line, run
from benchmarks.throughput.scaling_lines import Calls, Line, Plot, plots
from gail_suite.errors import InputError
from tests.benchmarks import reports


class Told:
    """A contender whose rates are told."""

    def __init__(self, x: int, rates: list[float], log: list):
        self.x, self.rates, self.log = x, iter(rates), log

    def measure(self, seconds: float) -> float:
        self.log.append((self.x, seconds, torch.get_num_threads()))
        return next(self.rates)

    def close(self) -> None:
        self.log.append(f"closed {self.x}")


def told(log: list, **changes) -> Line:
    rates = {1: [10.0, 30.0, 20.0], 2: [40.0, 50.0, 5.0], 4: [80.0] * 3}
    return replace(Line(label="it", xs=(1, 2, 4), make=lambda x: Told(x, rates[x], log)), **changes)


def test_the_points_of_a_line_take_turns_on_its_threads():
    log: list = []
    before = torch.get_num_threads()
    rates = measure_line(told(log, threads=2), ScalingConfig(points=2, rounds=3, seconds=0.25))
    assert rates == {1: [10.0, 30.0, 20.0], 2: [40.0, 50.0, 5.0]}
    assert log == [(1, 0.25, 2), (2, 0.25, 2)] * 3 + ["closed 2", "closed 1"]
    assert torch.get_num_threads() == before


def test_medians_are_of_the_plots_own_unit():
    plot = Plot(title="t", x="events", y="updates/s", lines=(told([]),), events_of=lambda x: 100 * x)
    found = measure("batch", plot, ScalingConfig())
    points = {name: [p["y"] for p in found[name]["lines"][0]["points"]] for name in found}
    assert points == {"batch": [20.0, 40.0, 80.0], "batch-events": [2000.0, 8000.0, 32000.0]}
    assert found["batch-events"]["y"] == "events/s"
    assert found["batch"]["lines"][0]["label"] == "it, 1 thread"
    plot = Plot(title="t", x="pairs", y="ms", lines=(told([], label=""),), is_time=True)
    found = measure("critic", plot, ScalingConfig())
    assert set(found) == {"critic"}
    assert [p["y"] for p in found["critic"]["lines"][0]["points"]] == [50.0, 25.0, 12.5]
    assert found["critic"]["lines"][0]["label"] == "1 thread"


def test_calls_are_counted_by_what_each_makes(monkeypatch):
    monkeypatch.setattr(scaling_lines, "steps_within", lambda call, seconds: call() or 2.0)
    calls: list = []
    contender = Calls(lambda: calls.append(1), per_call=4)
    assert len(calls) == 1  # warmed up
    assert contender.measure(1.0) == 8.0
    contender.close()


@pytest.mark.parametrize("name", ["envs", "gail", "critic"])
def test_the_smallest_and_another_point_of_the_task_can_be_measured(name):
    (line,) = plots("Hopper-v4", (1,), round_steps=16, warm_up=1)[name].lines
    assert list(line.xs) == sorted(set(line.xs))
    for x in line.xs[:2]:
        contender = line.make(x)
        assert contender.measure(0.0) > 0
        contender.close()


def test_a_training_round_has_as_many_steps_whatever_the_environments():
    for n_envs in (1, 2, 8):
        contender = scaling_lines.gail("Hopper-v4", 1, 32, n_envs)
        assert contender.per_call == 32
        contender.close()


def test_the_critic_sees_all_pairs_and_makes_the_updates_that_are_counted(monkeypatch):
    seen = []

    class Reward:
        def update(self, expert, policy):
            seen.append((len(expert.obs), len(policy.obs)))

    monkeypatch.setattr(scaling_lines, "make_reward_model", lambda config, demos, device: Reward())
    contender = scaling_lines.critic("Hopper-v4", 16, 300)
    assert seen == [(300, 16)]
    assert contender.per_call == scaling_lines.CRITIC_UPDATES


@pytest.mark.parametrize(("name", "field"), [("batch", "batch"), ("width", None)])
def test_x_is_what_changes_in_the_core(name, field, monkeypatch):
    asked: list[Sizes] = []

    def note(sizes: Sizes) -> Calls:
        asked.append(sizes)
        return Calls(int)

    monkeypatch.setattr(scaling_lines, "maf", note)
    monkeypatch.setattr(scaling_lines, "dcgan", note)
    maf, dcgan = plots("Hopper-v4", (1,), 16, 1)[name].lines
    maf.make(32)
    dcgan.make(32)
    if name == "batch":
        assert [sizes.batch for sizes in asked] == [32, 32]
        assert replace(asked[0], batch=256) == Sizes()
    else:
        assert asked == [replace(Sizes(), hidden=32), replace(Sizes(), channels=(32, 16))]


def test_the_core_models_take_the_smallest_sizes():
    for name in ("batch", "width"):
        for line in plots("Hopper-v4", (1,), 16, 1)[name].lines:
            assert line.make(line.xs[0]).measure(0.0) > 0


def test_random_demonstrations_are_the_tasks_own_sizes():
    demos = scaling_lines.random_demonstrations("Hopper-v4", 50)
    assert demos.obs.shape == (50, 11)
    assert demos.acts.shape == (50, 3)
    assert np.abs(demos.acts).max() <= 1
    assert not np.array_equal(demos.obs, demos.next_obs)


def test_a_run_writes_a_sound_result_and_its_picture(tmp_path, monkeypatch):
    made = {
        "envs": Plot(title="envs", x="n", y="steps/s", lines=(told([]), told([], label="other"))),
        "critic": Plot(title="critic", x="pairs", y="ms", lines=(told([], label=""),), is_time=True),
    }
    monkeypatch.setattr(scaling, "plots", lambda *settings: made)
    console = Console(record=True, width=150)
    file = tmp_path / "some.json"
    run(ScalingConfig(plots=("envs", "critic"), json=file), ["scaling"], console)
    result = json.loads(file.read_text())
    assert problems("throughput-scaling", result) == []
    assert list(result["plots"]) == ["envs", "critic"]
    assert result["command"] == "python -m benchmarks.throughput scaling"
    shown = console.export_text()
    assert "20 at 1" in shown
    assert "0.25 times as long, flat" in shown
    height, width = imread(tmp_path / "some.png").shape[:2]
    assert 200 < height < width < 1200


def test_the_powers_of_a_line_are_those_of_its_law():
    table = tables.throughput_scaling(reports.scaling())
    assert table.rows[0].cells[:3] == ["envs", "1 thread", "env steps/s over environments"]
    assert table.rows[0].cells[3:] == ["50 at 1", "200 at 16", "0.50", "0.50"]
    one = reports.scaling()
    del one["plots"]["envs"]["lines"][0]["points"][1:]
    assert list(tables.throughput_scaling(one).rows[0].cells[-2:]) == ["-", "-"]


def test_what_is_not_flat_is_said():
    assert tables.flatness(reports.scaling()) == [
        "An update of the critic takes 2.00 ms with 100 demonstrated pairs and 2.10 ms with 1,000: "
        "1.05 times as long, flat, as it should be."
    ]
    slow = reports.scaling()
    slow["plots"]["critic"]["lines"][0]["points"][1]["y"] = 5.0
    (said,) = tables.flatness(slow)
    assert said.endswith("2.50 times as long, not flat.")
    assert tables.flatness(reports.scaling(plots={})) == []


def test_the_page_of_results_shows_the_picture_and_says_what_is_flat():
    text = readme.scaling(reports.scaling())
    assert "](scaling.png)" in text
    assert "env steps/s over environments" in text
    assert "2.10 ms" in text
    assert text.endswith("`python -m benchmarks.throughput scaling`")


def test_labels_of_ticks_are_short():
    assert [scaling_picture.short(x) for x in (0.5, 1024, 2000, 3e5, 2e6)] == ["0.5", "1024", "2k", "300k", "2M"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"points": 0}, "--points must be at least 1"),
        ({"rounds": 0}, "--rounds"),
        ({"round_steps": 0}, "--round-steps"),
        ({"threads": ()}, "--threads"),
        ({"threads": (0,)}, "--threads"),
        ({"env": "CartPole-v1"}, "CartPole-v1"),
        ({"plots": ("nothing",)}, "no plot 'nothing'; choose among envs"),
        ({"plots": ()}, "choose among envs"),
    ],
)
def test_bad_input_is_refused(changes, said):
    with pytest.raises(InputError, match=said):
        run(ScalingConfig(**changes), [], Console())


def test_threads_beyond_the_cores_are_left_out(monkeypatch):
    asked = []
    monkeypatch.setattr(scaling, "plots", lambda env, threads, *rest: asked.append(threads) or {})
    monkeypatch.setattr(scaling, "usable_cores", lambda: 2)
    for given, used in (((1, 2, 4), (1, 2)), ((4, 8), (4,))):
        with pytest.raises(InputError):
            run(ScalingConfig(threads=given), [], Console())
        assert asked[-1] == used
