"""python -m benchmarks.readme: write the tables of the README and of docs/ from the JSON in benchmarks/results/."""

import json
import re
from pathlib import Path
from typing import Any

from benchmarks import tables
from benchmarks.collect import FOLDER, RESULTS
from benchmarks.images import tables as of_images
from benchmarks.images.experiments import tables as of_experiments
from benchmarks.images.report import KEPT_EXPERIMENTS, PICTURES
from benchmarks.imitation.study import KEPT, markdown
from benchmarks.reliability import tables as of_reliability
from benchmarks.throughput.scaling_picture import draw as draw_scaling
from gail_suite.cli import run_verb
from gail_suite.errors import InputError
from gail_suite.run_directory import write_text

DOCS = Path(__file__).parents[1] / "docs"
PAGES = (DOCS.with_name("README.md"), DOCS / "results.md", DOCS / "reliability.md")
SYSTEMS = DOCS / "systems.md"
SCALING = DOCS / "scaling.png"
THROUGHPUT = {"envs": tables.throughput_envs, "gail": tables.throughput_gail, "core": tables.throughput_core}


def study_table(found: dict[str, Any]) -> str:
    """One study: what was compared, its table, and its command."""
    pairs = sorted({run["pairs"] for run in found["rows"]})
    data = " or ".join(f"{n:,}" for n in pairs)
    return f"{found['env']}, {found['study']}, {data} pairs:\n\n{markdown(found)}\n\n`{found['command']}`"


def commands(results: list[dict[str, Any]]) -> str:
    """The command of each result, as a list."""
    return "\n".join(f"- `{command}`" for command in sorted({found["command"] for found in results}))


def scaling(found: dict[str, Any]) -> str:
    """The plots, what a reader would ask of them, and the command."""
    titles = ", ".join(dict.fromkeys(f"{plot['y']} over {plot['x']}" for plot in found["plots"].values()))
    shown = f"![How cost grows: {titles}]({SCALING.name})"
    return "\n\n".join([shown, *tables.flatness(found), f"`{found['command']}`"])


def sections() -> dict[str, str]:
    """Marker -> what belongs there; only for the results that exist."""
    found = [json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))]
    written = {}
    if found:
        written["imitation newest"] = tables.imitation(tables.newest(found)).markdown()
        written["imitation"] = tables.imitation(found).markdown()
        written["imitation commands"] = commands(found)
    studies = [json.loads(path.read_text()) for path in sorted(KEPT.glob("*.json"))]
    if studies:
        written["studies"] = "\n\n".join(study_table(found) for found in studies)
    images = [json.loads(path.read_text()) for path in sorted((RESULTS / "images").glob("*.json"))]
    if images:
        written["images nats"] = of_images.nats(images).markdown()
        written["images bits"] = of_images.bits(images).markdown()
        written["images files"] = of_images.files(images).markdown()
        written["images commands"] = commands(images)
    for name, table in THROUGHPUT.items():
        path = RESULTS / f"throughput-{name}.json"
        if path.exists():
            written[f"throughput {name}"] = table(result := json.loads(path.read_text())).markdown()
            if name == "gail":
                written[f"throughput {name}"] += f"\n\n{tables.gail_beside_imitation(result)}"
    path = RESULTS / "throughput-scaling.json"
    if path.exists():
        written["throughput scaling"] = scaling(json.loads(path.read_text()))
    campaigns = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("reliability-*.json"))]
    if campaigns:
        written["reliability"] = "\n\n".join(
            f"{of_reliability.table(found).markdown()}\n\n`{found['command']}`" for found in campaigns
        )
    return written


def fill(pages: dict[Path, str], written: dict[str, str]) -> dict[Path, str]:
    """Replace what stands between `<!-- name -->` and `<!-- end -->`.  Raises InputError for what has no place."""
    pages = dict(pages)
    for name, content in written.items():
        pattern = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
        places = [page for page, text in pages.items() if pattern.search(text)]
        if not places:
            named = ", ".join(page.name for page in pages)
            raise InputError(f"no section '<!-- {name} -->' ... '<!-- end -->' in {named}; put the two lines into one")
        for page in places:
            pages[page] = pattern.sub(lambda match, content=content: f"{match[1]}{content}\n{match[2]}", pages[page])  # type: ignore[misc]
    return pages


def main() -> int:
    for page, text in fill({page: page.read_text() for page in PAGES}, sections()).items():
        write_text(page, text)
    experiments = [json.loads(path.read_text()) for path in sorted(KEPT_EXPERIMENTS.glob("*.json"))]
    if experiments:
        write_text(SYSTEMS, of_experiments.page(experiments, PICTURES))
    if (costs := RESULTS / "throughput-scaling.json").exists():
        draw_scaling(json.loads(costs.read_text()), SCALING)
    return 0


if __name__ == "__main__":
    run_verb(main)
