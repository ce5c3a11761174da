"""python -m benchmarks.readme: write the README's tables and docs/systems.md from the JSON in benchmarks/results/."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.collect import FOLDER, RESULTS
from benchmarks.images import tables as of_images
from benchmarks.images.experiments import tables as of_experiments
from benchmarks.images.report import KEPT_EXPERIMENTS, PICTURES
from benchmarks.imitation.study import KEPT, markdown
from benchmarks.reliability import tables as of_reliability
from benchmarks.throughput import training as learners
from benchmarks.throughput.cases import LABELS
from envs import reference_returns
from gail_suite.cli import run_verb
from gail_suite.errors import InputError
from gail_suite.run_directory import write_text

README = Path(__file__).parents[1] / "README.md"
SYSTEMS = README.with_name("docs") / "systems.md"


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; all columns but the first are numbers."""
    names = list(header)
    lines = [names, [":--", *["--:"] * (len(names) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def imitation(results: list[dict[str, Any]]) -> str:
    """A row a task and amount of data, all seeds shown, the controls beside them."""
    groups: dict[tuple, list[dict[str, Any]]] = {}
    for found in sorted(results, key=lambda found: found["seed"]):
        pairs = found["pairs"] if found["subsample"] > 1 else 0  # whole demonstrations differ in length by falls alone
        key = (found["env"], found["n_demos"], found["subsample"], found["warm_start"], found["env_steps"], pairs)
        groups.setdefault(key, []).append(found)
    rows = [
        [
            *_about(key, runs),
            ", ".join(_number(run["policy"]["normalised_return"], 3) for run in runs),
            f"{_mean(runs, 'policy', 'return_mean')} ({_mean(runs, 'policy', 'displacement_mean')} m)",
            _of_demonstrator(runs),
            *(
                f"{_mean(runs, name, 'return_mean')} ({_mean(runs, name, 'displacement_mean')} m)"
                for name in ("last", "behavioural_cloning", "constant_reward", "expert")
            ),
            ", ".join(f"{run['wall_clock_s'] / 60:.1f}" for run in runs),
        ]
        for key, runs in sorted(groups.items(), key=_order)
    ]
    header = (
        "task and data",
        "normalised, each seed",
        "selected",
        "/ demonstrator",
        "last",
        "cloning",
        "constant reward",
        "expert",
        "minutes, each seed",
    )
    return table(header, rows)


def _of_demonstrator(runs: list[dict[str, Any]]) -> str:
    """The selected policy's return over the demonstrator's mean, which plays with its noise; Ho & Ermon's yardstick."""
    known = (reference_returns(runs[0]["env"]) or {}).get("demonstrator")
    if known is None:
        return "-"
    return f"{np.mean([run['policy']['return_mean'] for run in runs]) / known['return_mean']:.2f}"


def _order(item: tuple[tuple, Any]) -> tuple:
    (env, n_demos, subsample, warm_start, _, pairs), _ = item
    return (env, subsample, -n_demos, not warm_start, -pairs)


def _about(key: tuple, runs: list[dict[str, Any]]) -> list[str]:
    env, n_demos, subsample, warm_start, env_steps, pairs = key
    data = f"{n_demos} whole" if subsample == 1 else f"{n_demos} x every {subsample}th pair ({pairs} pairs)"
    start = "" if warm_start else ", no warm start"
    return [f"{env}, {data}{start}, {env_steps / 1e6:.3g} M steps"]


def _number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _mean(runs: list[dict[str, Any]], row: str, field: str) -> str:
    values = [run[row][field] for run in runs if row in run and run[row].get(field) is not None]
    return _number(float(np.mean(values))) if values else "-"


def study_table(found: dict[str, Any]) -> str:
    """One study: what was compared, its table, and its command."""
    pairs = sorted({run["pairs"] for run in found["rows"]})
    data = " or ".join(f"{n:,}" for n in pairs)
    return f"{found['env']}, {found['study']}, {data} pairs:\n\n{markdown(found)}\n\n`{found['command']}`"


def throughput_envs(result: dict[str, Any]) -> str:
    """Env steps/s of every contender, and its share of the limit."""
    names = list(LABELS)
    rows = [
        [env, *(_rate(found.get(name), with_share=name != "limit") for name in names)]
        for env, found in result["results"].items()
    ]
    head = f"env steps/s (of the limit), {result['n_envs']} environments, {result['cores']} cores"
    return table([head, *(LABELS[name] for name in names)], rows)


def throughput_gail(result: dict[str, Any]) -> str:
    """Env steps/s while training, ours and `imitation`'s."""
    rows = [
        [learners.LABELS[name], f"{row['env_steps_per_s']:,.0f}", f"{row['ratio_to_limit']:.2f}"]
        for name, row in result["results"].items()
    ]
    head = f"GAIL on {result['env']}, {result['n_envs']} environments, {result['cores']} cores"
    ratio = f"Ours is {result['ours_to_imitation']:.1f} times `imitation`'s better one."
    return f"{table([head, 'env steps/s', 'of the limit'], rows)}\n\n{ratio}"


def throughput_core(result: dict[str, Any]) -> str:
    """Ours beside each peer."""
    rows = [
        [
            row["label"],
            f"{row['ours']:,.1f} {row['unit']}",
            f"{row['peer']:,.1f} {row['unit']}",
            f"{row['ours_to_peer']:.2f}",
            f"{row['parameters']['ours']:,} / {row['parameters']['peer']:,}",
        ]
        for row in result["results"]
    ]
    head = f"model, peer; batch {result['batch']}, {result['threads']} thread{'s' if result['threads'] > 1 else ''}"
    return table([head, "ours", "peer", "ours / peer", "parameters"], rows)


def _rate(row: dict[str, Any] | None, *, with_share: bool) -> str:
    if row is None:
        return "-"
    share = f" ({row['ratio_to_limit']:.2f})" if with_share else ""
    return f"{row['env_steps_per_s']:,.0f}{share}"


def commands(results: list[dict[str, Any]]) -> str:
    """The command of each result, as a list."""
    return "\n".join(f"- `{command}`" for command in sorted({found["command"] for found in results}))


def sections() -> dict[str, str]:
    """Marker -> what belongs there; only for the results that exist."""
    found = [json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))]
    written = {}
    if found:
        written["imitation"] = imitation(found)
        written["imitation commands"] = commands(found)
    studies = [json.loads(path.read_text()) for path in sorted(KEPT.glob("*.json"))]
    if studies:
        written["studies"] = "\n\n".join(study_table(found) for found in studies)
    images = [json.loads(path.read_text()) for path in sorted((RESULTS / "images").glob("*.json"))]
    if images:
        written["images nats"] = table(of_images.NATS_HEADER, of_images.nats_rows(images))
        written["images bits"] = table(of_images.BITS_HEADER, of_images.bits_rows(images))
        written["images files"] = table(of_images.FILES_HEADER, of_images.files_rows(images))
        written["images commands"] = commands(images)
    for name, render in {"envs": throughput_envs, "gail": throughput_gail, "core": throughput_core}.items():
        path = RESULTS / f"throughput-{name}.json"
        if path.exists():
            written[f"throughput {name}"] = render(json.loads(path.read_text()))
    campaigns = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("reliability-*.json"))]
    if campaigns:
        rendered = (f"{table(*of_reliability.render(found))}\n\n`{found['command']}`" for found in campaigns)
        written["reliability"] = "\n\n".join(rendered)
    return written


def fill(text: str, written: dict[str, str]) -> str:
    """Replace what stands between `<!-- name -->` and `<!-- end -->`.  Raises InputError where a marker is missing."""
    for name, content in written.items():
        pattern = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not pattern.search(text):
            raise InputError(f"the README has no section '<!-- {name} -->' ... '<!-- end -->'; put the two lines in")
        text = pattern.sub(lambda match, content=content: f"{match[1]}{content}\n{match[2]}", text)  # type: ignore[misc]
    return text


def main() -> int:
    write_text(README, fill(README.read_text(), sections()))
    experiments = [json.loads(path.read_text()) for path in sorted(KEPT_EXPERIMENTS.glob("*.json"))]
    if experiments:
        write_text(SYSTEMS, of_experiments.page(experiments, PICTURES))
    return 0


if __name__ == "__main__":
    run_verb(main)
