"""A run of the image benchmark on digits, from the command line to its JSON."""

import json
import math
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from benchmarks.images import __main__ as command_line
from benchmarks.images import progress, report, roofline
from benchmarks.images.cases import CASES
from benchmarks.images.config import ImageConfig, config_from_dict
from benchmarks.images.evaluation import AnnealedImportance, Evaluation, Exact, ImportanceWeighted
from benchmarks.images.events import load_events
from benchmarks.images.recipes import Case, ClosedForm, Recipe, StepSettings, persistent_chains
from benchmarks.provenance import anywhere
from benchmarks.report.schema import problems
from gail_suite.errors import InputError
from generative_core import FVSBN, VAE, Bernoulli, Gaussian, load_checkpoint, save_checkpoint
from generative_core.markov_chain.rbm import RBM

TINY = Recipe(build=lambda data: FVSBN(data.event_shape), steps=24, batch_size=50, lr=3e-2, ema=0.9, looks=4)
TINY_CASES = {
    "fvsbn": Case(about="tiny", dataset="digits", pixels="fixed", evaluation=Exact(), cpu=TINY, gpu=TINY),
    "vae": Case(
        about="tiny",
        dataset="digits",
        pixels="dynamic",
        evaluation=ImportanceWeighted(k=3),
        cpu=Recipe(
            build=lambda data: VAE(data.event_shape, latent=2, hidden=(8,), likelihood=Bernoulli()), steps=12, looks=3
        ),
        gpu=TINY,
    ),
    "rbm": Case(
        about="tiny",
        dataset="digits",
        pixels="fixed",
        evaluation=AnnealedImportance(10, 50, 5, 30),
        cpu=Recipe(
            build=lambda data: RBM(data.event_shape, n_hidden=4),
            steps=12,
            looks=3,
            prepare=lambda model, x: model.initialise(x),
            make_step=persistent_chains,
        ),
        gpu=TINY,
    ),
    "gaussian": Case(
        about="tiny",
        dataset="digits",
        pixels="dequantised",
        evaluation=Exact(),
        cpu=ClosedForm(
            build=lambda data: Gaussian(data.event_shape), fit=lambda model, x, labels, generator: model.fit(x)
        ),
        gpu=TINY,
    ),
}
KEYS = {
    "benchmark", "model", "class", "about", "preset", "seed", "command", "date", "commit", "cores", "processor",
    "load_average_before", "versions", "device", "threads", "precision", "compile", "data", "parameters", "recipe",
    "training", "test", "samples", "seconds_judging", "peak_memory", "roofline",
    "files", "curve",
}  # fmt: skip


@pytest.fixture(autouse=True)
def tiny_cases(monkeypatch):
    """In the place of the real ones, which are CASES here."""
    monkeypatch.setattr("benchmarks.images.run.CASES", TINY_CASES)
    monkeypatch.setattr("benchmarks.images.report.CASES", TINY_CASES)
    monkeypatch.setattr(roofline, "BUDGET", 0.001)
    monkeypatch.setattr(roofline, "COPIED_BYTES", 2**16)
    random_state = torch.get_rng_state()
    yield
    torch.set_rng_state(random_state)


def run(out: Path, *arguments: str) -> dict:
    assert command_line.main([*arguments, "--out", str(out)]) == 0
    return json.loads((out / "result.json").read_text())


def figures(result: dict) -> dict:
    """What must not depend on how long it took, or when."""
    training = {name: value for name, value in result["training"].items() if not name.startswith("seconds")}
    curve = [{name: value for name, value in row.items() if name != "seconds"} for row in result["curve"]]
    return {"training": training, "curve": curve, "test": result["test"]}


def parts(folder: Path) -> dict:
    """The last checkpoint without its clocks."""
    state = load_checkpoint(folder / "last.safetensors")
    del state["looks"]
    return state


@pytest.mark.parametrize("model", TINY_CASES)
def test_result_is_complete(model, tmp_path, capsys):
    result = run(tmp_path / "run", "--model", model, "--seed", "3")
    assert set(result) == KEYS
    assert result["command"] == f"python -m benchmarks.images --model {model} --seed 3 --out {tmp_path / 'run'}"
    assert result["versions"]["torch"]
    assert result["data"]["rows"] == {"train": 1283, "validation": 257, "test": 257}
    assert result["data"]["seed"] == (0 if result["data"]["pixels"] == "fixed" else None)
    assert result["test"]["n"] == 257
    assert math.isfinite(result["test"]["nats"])
    assert 0 < result["test"]["standard_error"] < 10
    assert result["peak_memory"]["bytes"] > 1e6
    assert result["parameters"] > 10
    assert (result["roofline"] is None) == (model == "gaussian")
    assert problems("images", result) == []
    assert (result["files"] is not None) == (model == "fvsbn")
    assert (tmp_path / "run" / "samples.png").stat().st_size > 100
    assert (tmp_path / "run" / "curve.png").exists() == bool(result["curve"])
    assert f"{result['test']['nats']:.2f}" in capsys.readouterr().out


def test_training_on_digits_learns_and_the_curve_says_so(tmp_path):
    result = run(tmp_path / "run", "--model", "fvsbn")
    validation = [row["validation_nats"] for row in result["curve"]]
    assert [row["step"] for row in result["curve"]] == [6, 12, 18, 24]
    assert validation == sorted(validation, reverse=True)
    assert result["training"]["best_update"] == 24
    assert result["training"]["epochs"] == pytest.approx(24 * 50 / 1283, abs=0.01)
    assert result["test"]["nats"] < 35 < 64 * math.log(2)  # fair coins


def test_bits_per_dim_of_seventeen_levels(tmp_path):
    """-log2 of the probability of a level: the density times the width of its bin, 2/17."""
    test = run(tmp_path / "run", "--model", "gaussian")["test"]
    assert test["bits_per_dim"] == pytest.approx((test["nats"] / 64 - math.log(2 / 17)) / math.log(2))
    assert 0 < test["bits_per_dim"] < math.log2(17)


def test_same_seed_same_numbers_other_seed_others(tmp_path):
    first, again = (run(tmp_path / name, "--model", "vae", "--seed", "1") for name in ("first", "again"))
    assert figures(first) == figures(again)
    assert figures(first) != figures(run(tmp_path / "other", "--model", "vae", "--seed", "2"))


@pytest.mark.parametrize("model", ["fvsbn", "vae", "rbm"])
def test_interrupted_and_resumed_equals_unbroken(model, tmp_path, monkeypatch, capsys):
    unbroken = run(tmp_path / "unbroken", "--model", model)
    show = progress.Progress.__call__

    def interrupt(self, i, metrics):
        show(self, i, metrics)
        if i == 8:
            raise KeyboardInterrupt

    broken = tmp_path / "broken"
    with monkeypatch.context() as patch:
        patch.setattr(progress.Progress, "__call__", interrupt)
        assert command_line.main(["--model", model, "--out", str(broken)]) == 130
    assert f"--resume {broken}" in capsys.readouterr().err
    assert not (broken / "result.json").exists()
    assert 0 < load_checkpoint(broken / "last.safetensors")["first_step"] < 9
    assert command_line.main(["--resume", str(broken)]) == 0
    resumed = json.loads((broken / "result.json").read_text())
    assert figures(resumed) == figures(unbroken)
    assert resumed["command"] == f"python -m benchmarks.images --model {model} --out {broken}"  # the one that began it
    torch.testing.assert_close(parts(broken), parts(tmp_path / "unbroken"), rtol=0, atol=0)


def test_finished_run_is_shown_and_kept_but_not_run_again(tmp_path, monkeypatch, capsys):
    result = run(tmp_path / "run", "--model", "fvsbn")
    before = (tmp_path / "run" / "last.safetensors").stat().st_mtime_ns
    monkeypatch.setattr(report, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(report, "SAMPLES", tmp_path / "samples")
    capsys.readouterr()
    assert command_line.main(["--resume", str(tmp_path / "run"), "--keep"]) == 0
    assert json.loads((tmp_path / "kept" / "fvsbn-digits-8px-fixed-cpu-s0.json").read_text()) == anywhere(result)
    assert f"{result['test']['nats']:.2f}" in capsys.readouterr().out
    assert (tmp_path / "run" / "last.safetensors").stat().st_mtime_ns == before


def test_best_parameters_are_judged_and_the_run_ends_after_patience(tmp_path, monkeypatch):
    """Looks that get worse: the second one stays the best, and two looks later it is enough."""
    looks = iter([50.0, 40.0, 45.0, 44.0])
    seen = []

    class Scripted(Exact):
        def look(self, model, x, *, seed):
            seen.append(model.bias.detach().clone())
            return next(looks)

        def judge(self, model, x, *, seed):
            seen.append(model.bias.detach().clone())
            return super().judge(model, x, seed=seed)

    recipe = Recipe(build=TINY.build, steps=60, looks=10, patience=2, lr=1e-2)
    case = Case(about="", dataset="digits", pixels="fixed", evaluation=Scripted(), cpu=recipe, gpu=recipe)
    monkeypatch.setitem(TINY_CASES, "scripted", case)
    result = run(tmp_path / "run", "--model", "scripted")
    assert result["training"]["best_update"] == 12
    assert result["training"]["updates"] == 24
    assert torch.equal(seen[-1], seen[1])
    assert not torch.equal(seen[-1], seen[3])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say which --model"),
        (["--model", "nothing"], "no case 'nothing'.*fvsbn"),
        (["--model", "fvsbn", "--dataset", "nowhere"], "no data set 'nowhere'"),
        (["--model", "fvsbn", "--dataset", "ring"], "ring is not binary images"),
        (["--model", "gaussian", "--dataset", "digit-crops"], "digit-crops is not images"),
        (["--model", "fvsbn", "--pixels", "dequantised"], "takes binary images"),
        (["--model", "gaussian", "--pixels", "fixed"], "takes --pixels dequantised"),
        (["--model", "fvsbn", "--dataset", "digit-crops", "--pixels", "fixed"], "leave --pixels out"),
        (["--model", "fvsbn", "--steps", "0"], "--steps"),
        (["--model", "fvsbn", "--seed", "-1"], "--seed"),
        (["--model", "fvsbn", "--threads", "-1"], "--threads"),
        (["--model", "fvsbn", "--seed", str(2**64)], "--seed"),
        (["--model", "fvsbn", "--threads", str(10**12)], "--threads"),
        (["--model", "fvsbn", "--device", "abacus"], "abacus"),
        (["--model", "fvsbn", "--device", "meta"], "'meta' is not available"),  # holds no values
        (["--model", "fvsbn", "--device", "hpu"], "'hpu' is not available"),  # a name to torch, in a module of its own
        (["--model", "fvsbn", "--dataset", "mnist", "--data-dir", "/nonexistent"], "mnist"),
        (["--resume", "/nonexistent"], "no config.json"),
        (["--resume", "/nonexistent", "--steps", "3"], "leave --steps out"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_folder(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        command_line.main(arguments)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_folder_with_a_run_and_damaged_files_are_refused(tmp_path):
    run(tmp_path / "run", "--model", "fvsbn")
    with pytest.raises(InputError, match="already holds a run"):
        run(tmp_path / "run", "--model", "fvsbn")
    (tmp_path / "run" / "result.json").unlink()
    (tmp_path / "run" / "config.json").write_text('{"model": "fvsbn", "nonsense": 1}')
    with pytest.raises(InputError, match="damaged"):
        command_line.main(["--resume", str(tmp_path / "run")])


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("steps", "many"), ("steps", -1), ("model", ["fvsbn"]), ("seed", "a"), ("preset", "huge"),
        ("precision", "int8"), ("threads", None), ("pixels", "blue"), ("compile", "no"), ("dataset", {}),
        ("data_dir", 5),
    ],
)  # fmt: skip
def test_settings_of_a_run_that_no_flag_could_have_given_are_refused(setting, value, tmp_path):
    settings = json.loads(json.dumps(asdict(ImageConfig(model="fvsbn"))))
    assert config_from_dict(settings) == ImageConfig(model="fvsbn")
    (tmp_path / "config.json").write_text(json.dumps(settings | {setting: value}))
    with pytest.raises(InputError, match=f"config.json is damaged.*{setting}.*; start a new run"):
        command_line.main(["--resume", str(tmp_path)])


def test_a_result_of_something_else_is_refused_with_the_remedy(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(asdict(ImageConfig(model="fvsbn"))))
    (tmp_path / "result.json").write_text('{"benchmark": "images", "model": "fvsbn", "curve": 3}')
    with pytest.raises(InputError, match=r"is not what this benchmark writes .*; delete it and give --resume"):
        command_line.main(["--resume", str(tmp_path)])


def test_config_that_is_no_json_is_named_once(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="is damaged") as caught:
        command_line.main(["--resume", str(tmp_path)])
    assert str(caught.value).count("config.json") == 1


@pytest.mark.parametrize("damage", ["no origin", "no best", "last as best", "other model as best"])
def test_resume_without_what_it_ends_with_is_refused_before_it_trains(damage, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    run(folder, "--model", "fvsbn")
    (folder / "result.json").unlink()
    if damage == "no origin":
        (folder / "origin.json").unlink()
    elif damage == "no best":
        (folder / "best.safetensors").unlink()
    elif damage == "last as best":
        (folder / "best.safetensors").write_bytes((folder / "last.safetensors").read_bytes())
    else:
        save_checkpoint(folder / "best.safetensors", {"model": {"weight": torch.zeros(3)}})
    monkeypatch.setattr("benchmarks.images.run.fit", lambda *args, **kwargs: pytest.fail("trained"))
    named = "origin.json is missing" if damage == "no origin" else "best.safetensors is not the best checkpoint"
    with pytest.raises(InputError, match=f"{named}.*start a new run") as caught:
        command_line.main(["--resume", str(folder)])
    assert "\n" not in str(caught.value)


def test_result_of_something_else_is_refused(tmp_path):
    run(tmp_path / "run", "--model", "gaussian")
    (tmp_path / "run" / "result.json").write_text("{}")
    with pytest.raises(InputError, match="not a result of this benchmark; delete it"):
        command_line.main(["--resume", str(tmp_path / "run")])


def test_images_that_the_model_cannot_be_built_for_are_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(TINY_CASES, "multi-scale-pixelrnn", CASES["multi-scale-pixelrnn"])
    with pytest.raises(InputError, match=r"cannot take digit-crops.*choose another --dataset"):
        run(tmp_path / "run", "--model", "multi-scale-pixelrnn", "--dataset", "digit-crops")
    assert list(tmp_path.iterdir()) == []


def test_training_that_blows_up_names_a_saved_state_only_where_there_is_one(tmp_path, monkeypatch, capsys):
    class Blown(Exact):
        def look(self, model, x, *, seed):
            return math.nan

    case = Case(about="", dataset="digits", pixels="fixed", evaluation=Blown(), cpu=TINY, gpu=TINY)
    monkeypatch.setitem(TINY_CASES, "blown", case)
    assert command_line.main(["--model", "blown", "--out", str(tmp_path / "run")]) == 1
    assert "no state has been saved yet" in capsys.readouterr().err


def test_batch_larger_than_the_data_is_refused(tmp_path, monkeypatch):
    recipe = Recipe(build=TINY.build, steps=2, batch_size=5000)
    case = Case(about="", dataset="digits", pixels="fixed", evaluation=Exact(), cpu=recipe, gpu=recipe)
    monkeypatch.setitem(TINY_CASES, "large", case)
    with pytest.raises(InputError, match="less than a batch"):
        run(tmp_path / "run", "--model", "large")


def test_bad_input_ends_the_process_with_two_and_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.images", "--model", "nothing"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: there is no case 'nothing'")
    assert len(done.stderr.splitlines()) == 1


def test_list_shows_every_case(capsys):
    assert command_line.main(["--list"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in TINY_CASES)


def on_digits(case: Case) -> object:
    return load_events(ImageConfig(dataset="digits"), case, max_side=8)


@pytest.mark.parametrize("name", CASES)
def test_every_case_builds_on_digits_takes_a_step_and_is_judged(name):
    case = CASES[name]
    data = on_digits(case)
    recipe = case.cpu
    torch.manual_seed(0)
    model = recipe.build(data)
    assert model.event_shape == (1, 8, 8)
    if isinstance(recipe, ClosedForm):
        recipe.fit(model, data.events("train"), data.labels("train"), torch.Generator().manual_seed(0))
    else:
        if recipe.prepare is not None:
            recipe.prepare(model, data.events("train"))
        step = recipe.make_step(model, recipe, StepSettings(n_steps=2))
        before = [parameter.clone() for parameter in model.parameters()]
        assert math.isfinite(step(*next(data.batches(20)))["loss"])
        assert any(not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
    with torch.no_grad():
        assert math.isfinite(case.evaluation.look(model.eval(), data.events("validation")[:5], seed=0))
        assert math.isfinite(thrifty(case.evaluation).judge(model, data.events("test")[:5], seed=0).nats)


def thrifty(evaluation: Evaluation) -> Evaluation:
    """With draws and chains enough to see it run."""
    if isinstance(evaluation, ImportanceWeighted):
        return replace(evaluation, k=3, k_for_all=2, n_with_k=2)
    if isinstance(evaluation, AnnealedImportance):
        return replace(evaluation, n_chains=5, n_temperatures=50)
    return evaluation


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("made")])  # those fill a gigabyte
def test_the_large_preset_of_every_case_builds_and_makes_its_step(name):
    case = CASES[name]
    data = on_digits(case)
    model = case.gpu.build(data)
    assert model.event_shape == (1, 8, 8)
    if isinstance(case.gpu, Recipe):
        step = case.gpu.make_step(model, case.gpu, StepSettings(n_steps=2))
        assert math.isfinite(step(*next(data.batches(2)))["loss"])
