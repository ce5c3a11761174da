"""The report: every figure from the JSON, what does not compare apart, and what is damaged named and left out."""

import base64
import copy
import csv
import hashlib
import io
import json
import math
import re
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.collect import RESULTS
from benchmarks.collect import name as name_of_run
from benchmarks.report import figures, honesty, page, schema, sources
from benchmarks.report.view import sort_number
from gail_suite.errors import InputError
from tests.benchmarks.reports import MADE, SHA, experiment, image, imitation, policy, source, study, write

SCRIPT = "<script>alert('x')</script>"


@pytest.fixture
def undrawn(monkeypatch):
    """Pages without their curves, which take most of the time."""
    monkeypatch.setattr(figures, "curves", lambda series, **_: ("data:,", "data:,"))


def texts(report: page.Report) -> list[list[str]]:
    return [[cell.text for cell in line.cells] for _, grid in report.grids() for line in grid.lines]


def kinds(report: page.Report, kind: str) -> list[str]:
    return [warning.text for warning in report.warnings if warning.kind == kind]


# -- what is read ------------------------------------------------------------------------------------------------------


def test_the_kept_results_are_sound():
    found = sources.read_results(RESULTS, RESULTS, RESULTS)
    assert {source.name: source.problems for source in found if source.problems} == {}
    assert len(found) >= 40


@pytest.mark.parametrize("kind", MADE)
def test_what_agrees_has_no_problem(kind):
    assert schema.problems(kind, MADE[kind]()) == []


@pytest.mark.parametrize("value", [..., None])
def test_results_from_before_the_ceilings_are_sound(value, undrawn):
    old = source("images", at(image(), "roofline", value))
    assert old.problems == ()
    slugs = [grid.slug for _, grid in page.make([old]).grids()]
    assert "images-ceilings" not in slugs
    grids = [grid for _, grid in page.make([source("images", image())]).grids() if grid.slug == "images-ceilings"]
    shown = [[cell.text for cell in line.cells[1:]] for line in grids[0].lines]
    assert shown == [["10,000", "50", "50.0%", "1", "10.0%", "2 cores"]] * 2


def at(data: Any, path: str, value: Any) -> Any:
    """A copy with one field changed, or without it where the value is `...`."""
    data = copy.deepcopy(data)
    *way, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    part = data
    for step in way:
        part = part[step]
    if value is ...:
        del part[last]
    else:
        part[last] = value
    return data


@pytest.mark.parametrize(
    ("kind", "path", "value", "said"),
    [
        ("imitation", "policy/return_mean", ..., "policy.return_mean: Field required"),
        ("imitation", "policy/return_mean", "900", "policy.return_mean: Input should be a valid number"),
        ("imitation", "policy/return_mean", 950.0, "return_mean is 950, and its returns give 900"),
        ("imitation", "policy/normalised_return", 0.95, "normalised_return is 0.95, and its return and the scale give"),
        ("imitation", "policy/return_iqm", 990.0, "return_iqm is 990"),
        ("imitation", "policy/episodes", 5, "episodes is 5, and there are 4 returns"),
        ("imitation", "policy/returns/2", math.nan, "policy.returns.2 is not a finite number"),
        ("imitation", "env_steps", -1, "env_steps: Input should be greater than or equal to 0"),
        ("imitation", "seed", 3, "seed is 3, and its command says 0"),
        ("imitation", "env", "Hopper-v4", "env is Hopper-v4, and its command says Ant-v4"),
        ("imitation", "curve/2/env_steps", 500, "curve goes back"),
        ("imitation", "commit", "a\nb", "commit: String should match pattern"),
        ("images", "test/n", -5, "test.n: Input should be greater than 0"),
        ("images", "test/n", 20_000, "test.n is 20000, and the data have 10000 test images"),
        ("images", "test/bits_per_dim", 1.0, "test.bits_per_dim is 1"),
        ("images", "test/nats", math.inf, "test.nats is not a finite number"),
        ("images", "threads", True, "threads: Input should be a valid integer"),
        ("images", "roofline/training/flops_per_s", 6e10, "flops_per_s is 6e+10, and its work and seconds give 5e+10"),
        ("images", "roofline/sampling/share_of_bytes", 0.2, "share_of_bytes is 0.2, and its rate and ceiling give 0.1"),
        ("images", "roofline/training/flops", 10**400, "less than or equal to"),
        ("images", "roofline/training/seconds", 0.0, "greater than 0"),
        ("experiments", "rows/0/values/FID", -1.0, "FID of it is negative"),
        ("experiments", "rows/0/values/IS", 2.0, "IS is measured, and measures does not say what it is"),
        ("experiments", "judges/fashion-mnist/sha256", "abc", "judges.fashion-mnist.sha256: String should match"),
        ("experiments", "judges/fashion-mnist/accuracy_on_real", 1.5, "less than or equal to 1"),
        ("experiments", "seconds", 10.0, "its trainings took 90 s of 10 s in all"),
        ("experiments", "paper", "javascript:alert(1)", "paper: String should match pattern"),
        ("throughput-scaling", "plots/envs/lines/0/points/1/y", 99.0, "y at 4 is 99, and per_round give 100"),
        ("throughput-scaling", "plots/envs/lines/0/points/1/x", 1, "1 thread has one x twice"),
        ("throughput-scaling", "plots/envs/lines/0/points/2/x", 10**400, "less than or equal to"),
        ("throughput-scaling", "plots/envs/lines/0/points/1/x", 20, "1 thread goes back"),
        ("throughput-scaling", "plots/envs/lines/0/points/1/per_round/0", 0.0, "greater than 0"),
        ("studies", "rows/1/curve/1/0", 9000, "curve goes beyond the end of the run"),
    ],
)
def test_tampered_results_are_named_in_one_line_and_left_out(kind, path, value, said, undrawn):
    tampered = source(kind, at(MADE[kind](), path, value), "tampered.json")
    assert any(said in problem for problem in tampered.problems), tampered.problems
    report = page.make([source(kind, MADE[kind]()), tampered])
    assert texts(report) == texts(page.make([source(kind, MADE[kind]())]))
    (line,) = kinds(report, "damaged")
    assert line.startswith("tampered.json is left out: ")
    assert "\n" not in line
    assert "tampered.json is left out" in page.html(report)


def leaves(value: Any, path: str = "") -> Iterator[str]:
    """Every field, and the first of every list."""
    items = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, part in items:
        place = f"{path}/{key}" if path else str(key)
        yield place
        yield from leaves(part, place)


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("value", [..., None, "x", -1, {}, [], 1.5e300, True, "\ud800"])
def test_no_damage_of_a_field_breaks_the_page(kind, value, undrawn):
    for path in leaves(MADE[kind]()):
        damaged = source(kind, at(MADE[kind](), path, value))
        report = page.make([damaged])
        assert bool(kinds(report, "damaged")) == bool(damaged.problems), path
        assert page.html(report).encode().rstrip().endswith(b"</html>"), path


def test_files_that_hold_no_result_are_named(tmp_path, undrawn):
    write(tmp_path, "imitation", "list", [1])
    (tmp_path / "imitation" / "cut.json").write_text('{"env": "An')
    write(tmp_path, "imitation", "other-name", imitation())
    write(tmp_path, "imitation", name_of_run(imitation()) + "-again", imitation())
    (tmp_path / "throughput-core.json").write_text("NaN")
    report = page.make(sources.read_results(tmp_path, tmp_path, tmp_path))
    lines = kinds(report, "damaged")
    assert [line.split()[0] for line in lines] == [
        "imitation/cut.json",
        "imitation/list.json",
        "imitation/other-name.json",
        "throughput-core.json",
    ]
    assert "is not what it is called" in lines[2]
    assert report.tiles[0] == ("imitation runs", "1")
    with pytest.raises(InputError, match="--results"):
        sources.read_results(tmp_path / "nothing", tmp_path, tmp_path)


# -- what compares with what -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"commit": "other99"}, {"reward": "airl"}, {"select": "last"}])
def test_imitations_of_another_commit_or_kind_are_never_averaged(change, undrawn):
    report = page.make([source("imitation", imitation(0, 800.0)), source("imitation", imitation(1, 600.0, **change))])
    rows = [row for row in texts(report) if row[1] in ("0.800", "0.600")]
    assert len(rows) == 2
    assert "700" not in str(texts(report))
    (line,) = kinds(report, "apart")
    assert next(iter(change.values())) in line


def test_experiments_with_another_judge_or_sample_count_stand_apart(undrawn):
    other_judge = {"fashion-mnist": {"sha256": SHA[::-1], "accuracy_on_real": 0.9}}
    fewer = experiment()["size"] | {"n_judged": 500}
    for change, said in (({"judges": other_judge}, SHA[::-1][:12]), ({"size": fewer}, "500")):
        report = page.make(
            [
                source("experiments", experiment(seed=seed, fid=50.0 + 10 * seed, **kind))
                for seed, kind in enumerate(({}, change))
            ]
        )
        parts = report.sections[-1].parts
        assert len(parts) == 2
        assert [[cell.text for cell in part.grids[0].lines[0].cells] for part in parts] == [
            ["it", "ours", "50"],
            ["it", "ours", "60"],
        ]
        assert len([line for line in kinds(report, "apart") if said in line]) == 2  # of the system, and of the judge
        networks = next(grid for _, grid in report.grids() if grid.slug == "feature-networks")
        assert len(networks.lines) == 2


def test_seeds_that_were_measured_alike_share_a_table(undrawn):
    report = page.make([source("experiments", experiment(seed=seed, fid=50.0 + seed)) for seed in (1, 0)])
    assert ["it", "ours", "50, 51"] in texts(report)
    assert kinds(report, "apart") == []


def test_what_to_keep_in_mind_is_said():
    dirty = source("experiments", experiment(preset="smoke", commit="abc-dirty"))
    again = [source("images", image()), source("images", image())]
    said = " ".join(warning.text for warning in honesty.warnings([dirty, *again, source("imitation", imitation())]))
    assert "no commit holds" in said
    assert "preset smoke" in said
    assert "seed 0 stands 2 times" in said
    assert "fewer than 3 seeds" in said


# -- what is written ---------------------------------------------------------------------------------------------------


def everything() -> list[sources.Source]:
    named = [
        source("imitation", imitation(env=f"Ant{SCRIPT}", command="python -m gail_suite.train")),
        source("imitation", imitation(1), SCRIPT),
        source("images", image(SCRIPT, about=SCRIPT, command=SCRIPT)),
        source("experiments", experiment(caption=SCRIPT, question=SCRIPT, commit=SCRIPT)),
        source("studies", study(study=SCRIPT, failed=[SCRIPT])),
        source("failure", {"failed": SCRIPT, "command": SCRIPT, "log": [SCRIPT]}, SCRIPT),
        source("images", {SCRIPT: 1}, SCRIPT),
    ]
    assert [bool(found.problems) for found in named] == [False] * 6 + [True]
    return named


def test_names_from_files_become_no_tags_and_the_page_loads_nothing():
    html = page.html(page.make(everything()))
    assert html.count("<script>") == html.count("</script>") == 1
    assert "alert(&#39;x&#39;)" in html
    body = html.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html
    loaded = re.findall(r"""(?:src|srcset|action)=["']([^"']*)|<link[^>]* href="([^"]*)|url\(([^)]*)""", html)
    assert loaded
    assert all(address.startswith("data:") for found in loaded for address in found if address)
    drawings = [base64.b64decode(part) for part in re.findall(r"data:image/svg\+xml;base64,([\w+/=]+)", html)]
    assert len(drawings) >= 8
    assert not any(b"<script>" in drawing for drawing in drawings)


def test_every_row_and_figure_says_where_it_comes_from(undrawn):
    report = page.make([source(kind, make()) for kind, make in MADE.items()])
    parts = [*(line for _, grid in report.grids() for line in grid.lines), *report.figures()]
    assert len(parts) > 15
    for part in parts:
        for origin in part.origins:
            assert origin["command"].startswith("python -m ")
            assert list(origin) == ["command", "file", "commit", "seed", "date", "time", "device", "versions"]
            assert origin["file"] == next(f"{kind}/some.json" for kind in MADE if kind in origin["file"])
        assert part.origins
    html = page.html(report)
    assert "a processor, 2 threads" in html
    assert "torch 2.13.0" in html


def test_a_failed_run_is_a_red_row_with_the_end_of_its_log(tmp_path, undrawn):
    run = tmp_path / "runs" / "broken"
    run.mkdir(parents=True)
    note = {"failed": "MemoryError: all", "command": "python -m x", "log": [f"line {i}" for i in range(99)]}
    (run / "failure.json").write_text(json.dumps(note))
    (run / "result.json").write_text(json.dumps(image()))
    report = page.make([*sources.read_runs([tmp_path / "runs"]), source("studies", study(failed=["gail, seed 1 (1)"]))])
    html = page.html(report)
    assert html.count('class="failed"') == 4  # two rows, two warnings
    assert "line 98" in html
    assert "line 50\n" not in html
    assert "1,000" not in html  # the result of before is not shown
    assert kinds(report, "failed")[0] == "runs/broken/failure.json: MemoryError: all"


def test_pictures_are_found_by_name_and_no_name_leads_elsewhere(tmp_path, undrawn):
    png = b"\x89PNG\r\n\x1a\n" + b"0" * 8
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (tmp_path / "secret.png").write_bytes(png)
    (pictures / "dcgan.png").write_bytes(png)
    (pictures / "gsn.png").write_bytes(b"<svg onload=alert(1)>")
    results = tmp_path / "results"
    for i, model in enumerate(("dcgan", "gsn", "../secret")):
        write(results, "experiments", f"{i}", experiment(model, command="python -m benchmarks.images"))
    found = sources.read_results(results, pictures, pictures)
    assert [source.picture and source.picture.name for source in found] == ["dcgan.png", None, None]
    assert found[1].problems == ("gsn.png is not a PNG",)
    assert base64.b64encode(png).decode() in page.html(page.make(found))


def test_the_files_say_what_the_page_says(tmp_path, undrawn):
    report = page.make([source("imitation", imitation()), source("images", image("a|b", about="=1+1|<b>"))])
    page.write(report, tmp_path)
    rows = list(csv.reader(io.StringIO((tmp_path / "imitation.csv").read_text())))
    assert rows[0][0] == "task and data"
    assert rows[1][0].startswith("Ant-v4, 4 x every 20th pair (113 pairs)")
    assert rows[1][-2:] == ["python -m gail_suite.train --env Ant-v4 --seed 0", "imitation/some.json"]
    assert list(csv.reader(io.StringIO((tmp_path / "images-nats.csv").read_text())))[1][0].startswith("'=1+1")
    text = (tmp_path / "report.md").read_text()
    assert "=1+1\\|&lt;b>" in text
    widths = {line.count("|") - line.count("\\|") for line in text.splitlines() if line.startswith("| Ant-v4, 4")}
    assert widths == {11, 8}


def test_an_empty_folder_makes_a_page(tmp_path):
    report = page.make(sources.read_results(tmp_path, tmp_path, tmp_path))
    assert "No results were found" in page.html(report)


def test_cells_sort_by_what_they_show():
    assert sort_number("6,317 (294 m)") == 6317
    assert sort_number("0.5, 1.5") == 1.0
    assert sort_number("1,000, 2,000") == 1500
    assert sort_number("[0.25, 0.75]") == 0.25
    assert sort_number("-1.5e-05") == -1.5e-05
    assert sort_number("-") is None
    assert policy(900.0)["return_mean"] == 900.0
