"""Experiments: every one runs through, says what it measured, and the page shows what the JSON holds."""

import json
import math
from dataclasses import replace

import pytest
import torch

from benchmarks.images import __main__ as command_line
from benchmarks.images import report
from benchmarks.images.config import ImageConfig
from benchmarks.images.experiments import tables
from benchmarks.images.experiments.cases import EXPERIMENTS
from benchmarks.images.experiments.execute import ExperimentRun
from benchmarks.images.experiments.experiment import Experiment, Measure, Row, Size
from benchmarks.images.experiments.lab import Lab
from gail_suite.errors import InputError
from generative_core.metrics import JudgeConfig


@pytest.fixture(autouse=True)
def random_state():
    before = torch.get_rng_state()
    yield
    torch.set_rng_state(before)


@pytest.fixture
def cache(tmp_path_factory, monkeypatch):
    """The judges of this module's smoke runs, and no user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "experiment-cache"))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_runs_through_on_data_that_need_no_file(name, tmp_path, cache):
    experiment = EXPERIMENTS[name]
    lab = Lab(seed=0, device=torch.device("cpu"), size=experiment.smoke, smoke=True, picture=tmp_path / "picture.png")
    torch.manual_seed(0)
    rows = experiment.run(lab, experiment.smoke)
    roles = {row.role for row in rows}
    assert {"ours", "baseline"} <= roles or {"ours", "ablation"} <= roles
    assert len({row.name for row in rows}) == len(rows)
    assert {measure for row in rows for measure in row.values} == set(experiment.measures)
    headline = next(iter(experiment.measures))
    assert all(math.isfinite(row.values[headline]) for row in rows if headline in row.values)
    assert all(isinstance(value, float | int) for row in rows for value in row.values.values())
    assert lab.caption
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_an_experiment_names_a_paper_and_asks_a_question():
    for experiment in EXPERIMENTS.values():
        assert experiment.paper.startswith("https://")
        assert experiment.question.endswith("?")


def coin(lab: Lab, size: Size) -> list[Row]:
    """Counts heads of the run's seed."""
    heads = torch.randint(2, (size.steps,), generator=lab.random()).float().mean()
    lab.picture([torch.zeros(2, 1, 4, 4)], "nothing")
    return [Row("coin", "ours", {"heads": float(heads)}), Row("cheat", "baseline", {"heads": 1.0})]


TOY = Experiment(
    about="A coin",
    paper="https://example.org/coin",
    question="does it come up heads?",
    measures={"heads": Measure("share of heads", "neither")},
    run=coin,
    cpu=Size(steps=400),
    gpu=Size(steps=800),
)


@pytest.fixture
def toy(monkeypatch, tmp_path):
    monkeypatch.setitem(EXPERIMENTS, "coin", TOY)
    monkeypatch.setattr(report, "KEPT_EXPERIMENTS", tmp_path / "kept")
    monkeypatch.setattr(report, "PICTURES", tmp_path / "pictures")
    return tmp_path


def test_the_command_line_keeps_the_result_and_the_picture(toy, capsys):
    arguments = ["--model", "coin", "--seed", "0", "--keep", "--threads", "1", "--out", str(toy / "run")]
    assert command_line.main(arguments) == 0
    found = json.loads((toy / "kept" / "coin-cpu-s0.json").read_text())
    assert found == json.loads((toy / "run" / "result.json").read_text()) | {"command": found["command"]}
    assert "--out" not in found["command"]
    assert 0.4 < found["rows"][0]["values"]["heads"] < 0.6
    assert (toy / "pictures" / "coin.png").exists()
    assert "share of heads" in capsys.readouterr().out


def test_the_same_seed_gives_the_same_figures_and_another_others(toy):
    def heads(seed: int, name: str) -> float:
        command_line.main(["--model", "coin", "--seed", str(seed), "--threads", "1", "--out", str(toy / name)])
        return json.loads((toy / name / "result.json").read_text())["rows"][0]["values"]["heads"]

    assert heads(3, "a") == heads(3, "b") != heads(4, "c")


@pytest.mark.parametrize(
    "change", [{"dataset": "mnist"}, {"pixels": "fixed"}, {"precision": "bfloat16"}, {"compile": True}]
)
def test_flags_without_effect_are_refused(toy, change):
    with pytest.raises(InputError, match=f"leave --{next(iter(change))} out"):
        ExperimentRun(replace(ImageConfig(model="coin"), **change))


def result(seed: int, heads: float, **changes) -> dict:
    return {
        "model": "coin",
        "about": "A coin",
        "paper": "https://example.org/coin",
        "question": "does it come up heads?",
        "preset": "cpu",
        "seed": seed,
        "device": "cpu",
        "threads": 2,
        "seconds": 90.0,
        "size": {"steps": 400},
        "data": {},
        "judges": {"coins": {"sha256": "0123456789abcdef", "accuracy_on_real": 0.925}},
        "measures": {"heads": {"what": "share of heads", "better": "higher"}},
        "rows": [
            {"name": "coin", "role": "ours", "values": {"heads": heads}},
            {"name": "cheat", "role": "baseline", "values": {"heads": 1.0}},
        ],
        "caption": "nothing",
        "command": f"python -m benchmarks.images --model coin --seed {seed}",
    } | changes


def test_the_page_shows_every_seed_in_its_order(tmp_path):
    (tmp_path / "coin.png").write_bytes(b"")
    page = tables.page([result(1, 0.25), result(0, 0.5)], tmp_path)
    assert "| [A coin](#a-coin) | heads ↑ | 0.5, 0.25 | - | 1, 1 | - | - | **no** | 1.5, 1.5 |" in page
    assert "| coin | ours | 0.5, 0.25 |" in page
    assert "judge of coins: 92.5% right on real ones (`0123456789ab`)" in page
    assert f"![nothing]({tmp_path.name}/coin.png)" in page
    assert "Does it come up heads? ([paper](https://example.org/coin))" in page


@pytest.mark.parametrize(
    ("ours", "better", "verdict"),
    [
        ((0.6, 0.7), "higher", "yes"),
        ((0.6, 0.7), "lower", "**no**"),
        ((0.4, 0.6), "lower", "1 of 2 seeds"),
        ((0.5, 0.50004), "lower", "equal"),
        ((0.5, 0.4), "lower", "1 of 2 seeds"),
        ((0.6, 0.7), "neither", "-"),
    ],
)
def test_the_page_says_whether_the_ablation_is_beaten(tmp_path, ours, better, verdict):
    """The first row of a role counts, and the digits that are shown."""
    rows = [("coin", "ours", None), ("other", "ours", 9.0), ("bent", "ablation", 0.5), ("flat", "ablation", 9.0)]
    runs = [
        result(
            seed,
            0.0,
            measures={"heads": {"what": "share of heads", "better": better}},
            rows=[
                {"name": name, "role": role, "values": {"heads": value if fixed is None else fixed}}
                for name, role, fixed in rows
            ],
        )
        for seed, value in enumerate(ours)
    ]
    row = next(line for line in tables.page(runs, tmp_path).splitlines() if line.startswith("| [A coin]"))
    assert row.split(" | ")[6:8] == [verdict, "-"]


@pytest.mark.parametrize("part", ["size", "judges"])
def test_seeds_that_were_measured_differently_do_not_share_a_table(part, tmp_path):
    with pytest.raises(InputError, match=f"differ in their {part}"):
        tables.page([result(0, 0.5), result(1, 0.5, **{part: {}})], tmp_path)


def test_the_lab_averages_the_weights_and_records_the_training():
    class Step:
        """Moves its one weight by one a call."""

        def __init__(self) -> None:
            self.model = torch.nn.Linear(1, 1, bias=False)
            torch.nn.init.zeros_(self.model.weight)

        def __call__(self, x):
            with torch.no_grad():
                self.model.weight += 1
            return {"weight": self.model.weight.item()}

        def state_dict(self):
            return {}

        def load_state_dict(self, state): ...

    lab = Lab(seed=0, device=torch.device("cpu"), size=Size(steps=5, batch_size=2))
    step = Step()
    averaged = lab.train("walk", step, lab.batches(torch.zeros(4, 1)), ema=0.9)
    assert step.model.weight.item() == 5
    assert 0 < averaged.weight.item() < 5
    assert [row["weight"] for row in lab.trainings["walk"]["curve"]] == [1, 2, 3, 4, 5]
    assert lab.trainings["walk"]["parameters"] == 1


def test_judges_never_share_the_seed_of_networks_inside_a_loss():
    from benchmarks.images.experiments.lab import JUDGE_SEED, LOSS_NETWORK_SEED, SECOND_JUDGE_SEED

    assert len({JUDGE_SEED, SECOND_JUDGE_SEED, LOSS_NETWORK_SEED, JudgeConfig().seed}) == 4


@pytest.mark.parametrize("name", ["anime", "dtn", "disco-gan"])
def test_two_seeds_share_their_judges_and_data_and_so_a_table(name, cache):
    experiment = EXPERIMENTS[name]
    size = replace(experiment.smoke, steps=1)
    labs = []
    for seed in (0, 1):
        labs.append(Lab(seed=seed, device=torch.device("cpu"), size=size, smoke=True))
        torch.manual_seed(seed)
        experiment.run(labs[-1], size)
    assert labs[0].data
    assert labs[0].judges == labs[1].judges
    assert labs[0].data == labs[1].data


def test_drawn_data_are_recorded_and_kinds_of_pixels_are_kept_apart():
    lab = Lab(seed=0, device=torch.device("cpu"), size=Size(steps=1), smoke=True)
    lab.record("letters", rows=7)
    grey, noisy = lab.images(), lab.images(pixels="dequantised")
    assert lab.data["letters"] == {"name": "letters", "rows": 7}
    assert lab.data["fashion-mnist"] == grey.provenance()
    assert lab.data["fashion-mnist, dequantised"] == noisy.provenance()


def test_each_image_is_shifted_and_mirrored_by_itself():
    from benchmarks.images.experiments.labels import shift_and_mirror

    x = torch.full((400, 1, 9, 9), -1.0)
    x[:, 0, 3, 4] = 1
    moved = shift_and_mirror(x, generator=torch.Generator().manual_seed(0))
    assert (moved.flatten(1).sum(1) == x.flatten(1).sum(1)).all()
    places = (moved[:, 0] == 1).nonzero()[:, 1:]
    assert len(places.unique(dim=0)) == 25
    assert places.amin(0).tolist() == [1, 2]
    assert places.amax(0).tolist() == [5, 6]


def test_holes_of_the_first_images_do_not_depend_on_how_many_there_are():
    from benchmarks.images.experiments.repair import hidden_squares

    masks = hidden_squares(torch.zeros(50, 1, 28, 28))
    assert torch.equal(masks[:7], hidden_squares(torch.zeros(7, 1, 28, 28)))
    assert (masks.sum((1, 2, 3)) == 144).all()
    assert len(masks.flatten(1).unique(dim=0)) > 20


def test_random_search_has_mixes_of_two_classes():
    from benchmarks.images.experiments.selection import random_mixes

    genes = random_mixes(10, 200, torch.Generator().manual_seed(0)).genes(range(2, 600, 3))
    torch.testing.assert_close(genes.classes.sum(1), torch.ones(200))
    n_classes = (genes.classes > 0).sum(1)
    assert n_classes.max() == 2
    assert (n_classes == 2).float().mean() > 0.7  # in a tenth the founders are of one class
    assert 0.9 < genes.z.std() < 1.1
