"""python -m benchmarks.imitation --env Ant-v4: ours beside its controls and its peers; `ablate`: one thing at a time.

Runs are processes with folders of their own (`benchmarks.sweep`): what has ended is not run again, what was
interrupted goes on, what fails is told and the others go on.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.imitation.cases import STUDIES
from benchmarks.imitation.config import SMOKE, Ablate, Common, Compare, chosen
from benchmarks.imitation.study import Study
from gail_suite.cli import run_verb

PACKAGES = ("torch", "numpy", "scipy", "mujoco", "gymnasium", "stable-baselines3", "imitation")


def main(arguments: list[str]) -> int:
    import tyro

    if arguments[:1] == ["ablate"]:
        ablate = tyro.cli(Ablate, args=arguments[1:], prog="python -m benchmarks.imitation ablate")
        if ablate.list:
            for name, variants in STUDIES.items():
                print(f"{name}: {', '.join(variants)}")
            return 0
        return run(chosen(ablate), ablate, arguments)
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--preset")
    known, _ = early.parse_known_args(arguments)
    default = SMOKE if known.preset == "smoke" else Compare()
    compare = tyro.cli(Compare, args=arguments, default=default, prog="python -m benchmarks.imitation")
    return run(compare.studies(), compare, arguments)


def run(studies: Sequence[Study], config: Common, arguments: list[str]) -> int:
    """Run what is missing, then the table, curves and `study.json` of each; 1 where a run failed."""
    from benchmarks.imitation import published
    from benchmarks.imitation.study import table
    from benchmarks.provenance import origin
    from benchmarks.sweep import run_sweep

    made = origin("benchmarks.imitation", arguments, PACKAGES)
    began = time.monotonic()
    # seed by seed, so that an early stop leaves every variant with as many
    cases = [case for seed in range(config.seeds) for study in studies for case in study.cases(seed)]
    failed = run_sweep(cases, config)
    made |= {"device": "cpu", "seeds": list(range(config.seeds)), "seconds": round(time.monotonic() - began, 1)}
    found = [report(study, made, failed, config) for study in studies]
    summarise(found, config.out, made)
    if rows := published.beside_paper(found):
        print(f"\nThe paper's figures: {published.PAPER}\n\n{table(published.HEADER, rows)}")
    for line in failed:
        print(f"failed: {line['case']} ({line['failed']})", file=sys.stderr)
    return 1 if failed else 0


def report(study: Study, made: dict[str, Any], failed: list[dict[str, Any]], config: Common) -> dict[str, Any]:
    """Write and print what came of one study."""
    from benchmarks.imitation.study import collect, draw, markdown
    from benchmarks.provenance import anywhere
    from gail_suite.run_directory import write_json

    own = {case.name for seed in range(config.seeds) for case in study.cases(seed)}
    failures = [line for line in failed if line["case"] in own]
    # in the table and in what is kept without the log, which tells where on this machine things lie
    named = [f"{line['case'].removeprefix(f'{study.title}: ')} ({line['failed'].split(':')[0]})" for line in failures]
    found = collect(study) | made | {"failed": named}
    study.folder.mkdir(parents=True, exist_ok=True)
    write_json(study.folder / "study.json", found | {"failures": failures})
    if found["rows"] or found["failed"]:
        draw(found, study.folder / "curves.png")
        print(f"\n{study.title}:\n\n{markdown(found)}")
    print(f"all in {study.folder}")
    if config.keep:
        write_json(study.kept, anywhere(found))
    return found


def summarise(found: Sequence[dict[str, Any]], out: Path, made: dict[str, Any]) -> None:
    """Where several tasks had the same study: interquartile means over tasks and seeds, in `out/summary-STUDY.json`."""
    from benchmarks.imitation.statistics import across_tasks
    from benchmarks.imitation.study import table
    from gail_suite.run_directory import write_json

    for name in dict.fromkeys(study["study"] for study in found):
        same = [study for study in found if study["study"] == name]
        if len(same) < 2 or not (rows := across_tasks(same)):
            continue
        tasks = [study["env"] for study in same]
        summary = {"benchmark": "imitation", "study": name, "tasks": tasks, "rows": rows, **made}
        write_json(out / f"summary-{name.replace(' ', '-')}.json", summary)
        first = rows[0]["variant"]
        header = ("variant", "runs", "IQM [95 %]", f"P({first} is better) [95 %]")
        shown = [
            [row["variant"], str(row["n_runs"]), _interval(row, "iqm"), _interval(row["first_is_better"], "p")]
            for row in rows
        ]
        print(f"\n{name}, over {', '.join(tasks)}:\n\n{table(header, shown)}")


def _interval(found: dict[str, Any] | None, name: str) -> str:
    if found is None:
        return "-"
    spread = "" if found["ci95"] is None else f" [{found['ci95'][0]:.3f}, {found['ci95'][1]:.3f}]"
    return f"{found[name]:.3f}{spread}"


if __name__ == "__main__":
    run_verb(lambda: main(sys.argv[1:]))
