"""The sections of images: likelihoods and files as in the README, curves, samples, and the experiments."""

import hashlib
import json
from collections.abc import Sequence

from benchmarks.images import tables
from benchmarks.images.experiments import tables as of_experiments
from benchmarks.images.families import family_of
from benchmarks.report import figures
from benchmarks.report.sources import FILE, Source, sound
from benchmarks.report.view import Figure, Grid, Lens, Section, grid
from benchmarks.table import Result, Row, Table, apart, grouped

CASES = Lens(
    lambda run: family_of(run["model"]),
    lambda run: [run["data"]["name"]],
    lambda run: run["training"]["seconds"] + run.get("seconds_judging", 0.0),
)
EXPERIMENTS = Lens(lambda run: family_of(run["model"]), lambda run: sorted(run["data"]), lambda run: run["seconds"])


def section(sources: Sequence[Source]) -> Section | None:
    """None without results."""
    runs = sound(sources, "images")
    if not runs:
        return None
    grids = [
        grid(
            "images-nats",
            "Binary images",
            "Minus log p(x) of test images, nats, lower is better; 'estimate' says whether it is exact or a bound. "
            "A paper's figure stands where it measured the same thing.",
            tables.nats(runs),
            CASES,
        ),
        grid("images-bits", "Grey images", "Bits a dimension, lower is better.", tables.bits(runs), CASES),
        grid(
            "images-files",
            "Files",
            "Test images in one file by the model and a coder, beside PNG and gzip; the model is not counted.",
            tables.files(runs),
            CASES,
        ),
        grid(
            "images-ceilings",
            "Beside the device's ceilings",
            "FLOPs of products, convolutions and attention, as executed, beside the fastest matrix product of that "
            "precision; bytes that an update or a draw moves at least (parameters, gradients, the optimiser's state, "
            "the events), beside a copy. The ceilings were measured by the same process.",
            tables.ceilings(runs),
            CASES,
        ),
    ]
    return Section(
        "images", "Likelihoods of images", "", [g for g in grids if g.lines], [*_curves(runs), *_samples(sources)]
    )


def _curves(runs: Sequence[Result]) -> list[Figure]:
    """Validation over minutes of training, a figure a data set and treatment of its pixels."""
    by_data: dict[str, list[tuple[str, Result]]] = {}
    for label, members in tables.groups(runs):
        for run in members:
            if run.get("curve"):
                name, _, data = label.rpartition("; ")
                by_data.setdefault(data, []).append((name, run))
    found = []
    for data, items in by_data.items():
        series = [
            figures.Series(
                name,
                [look["seconds"] / 60 for look in run["curve"]],
                [look["validation_nats"] for look in run["curve"]],
            )
            for name, run in items
        ]
        light, dark = figures.curves(series, x="minutes of training", y="validation, nats")
        members = [run for _, run in items]
        tasks = sorted({task for run in members for task in CASES.tasks(run)})
        family = "|".join(sorted({CASES.family(run) for run in members}))
        caption = "Minus log p(x) of validation images, or its bound, at each look; lower is better."
        found.append(Figure(data, caption, light, family, tasks, CASES.origins(members), dark))
    return found


def _samples(sources: Sequence[Source]) -> list[Figure]:
    return [
        Figure(
            f"{source.data['about']}: samples",
            f"{source.data['data']['name']}, drawn from the trained model, not chosen.",
            figures.png_uri(source.picture),
            CASES.family(source.data),
            CASES.tasks(source.data),
            CASES.origins([source.data]),
            is_pixels=True,
        )
        for source in sources
        if source.kind == "images" and source.picture is not None and not source.problems
    ]


# -- experiments -------------------------------------------------------------------------------------------------------


def experiments(sources: Sequence[Source]) -> Section | None:
    """A summary, the networks that judged, and a part a system; None without results."""
    runs = sound(sources, "experiments")
    if not runs:
        return None
    groups = experiment_groups(runs)
    labels = [label for label, _ in groups]
    summary = of_experiments.summary([members for _, members in groups], labels)
    grids = [
        grid(
            "experiments",
            "Headlines",
            "The first measure of each experiment, the first contender of each role, every seed; the arrow says which "
            "way is better.",
            summary,
            EXPERIMENTS,
        )
    ]
    if (judges := feature_networks(groups)).rows:
        about = (
            "Fréchet distances, accuracies and the like are taken in the features of these networks. Figures compare "
            "only within one network and one number of samples."
        )
        grids.append(grid("feature-networks", "Feature networks", about, judges, EXPERIMENTS))
    pictures = {source.data[FILE]: source for source in sources if source.picture is not None}
    parts = [_experiment(label, members, pictures) for label, members in groups]
    about = (
        "Systems without a density: each with the question that its paper asks, beside the ablation that it argues "
        "against, the trivial baseline and the ceiling of real data."
    )
    return Section("experiments", "Experiments", about, grids, parts=parts)


def experiment_groups(runs: Sequence[Result]) -> list[tuple[str, list[Result]]]:
    """Seeds of one system that were measured alike: the same networks, samples, sizes, data and measures."""
    found = []
    for _, members in sorted(grouped(runs, lambda run: (run["model"], run["preset"])).items()):
        first = members[0]
        label = first["about"] + ("" if first["preset"] == "cpu" else f", preset {first['preset']}")
        found += [(f"{label} ({what})" if what else label, alike) for what, alike in apart(members, facets)]
    return found


def facets(run: Result) -> dict[str, str]:
    """What must be equal for seeds to stand in one table."""
    size = {name: value for name, value in run["size"].items() if name != "n_judged"}
    return {
        "feature network": ", ".join(sorted(judge["sha256"][:12] for judge in run["judges"].values())) or "none",
        "judged samples": str(run["size"]["n_judged"]),
        "size": _digest(size),
        "data": _digest(run["data"]),
        "measures": _digest(run["measures"]),
    }


def feature_networks(groups: Sequence[tuple[str, Sequence[Result]]]) -> Table:
    """A row a network and number of samples, with who was judged by it."""
    users: dict[tuple[str, str, float, int, bool], list[tuple[str, Sequence[Result]]]] = {}
    for label, runs in groups:
        size = runs[0]["size"]["n_judged"]
        for name, judge in runs[0]["judges"].items():
            key = (name, judge["sha256"], judge["accuracy_on_real"], size, runs[0]["preset"] == "smoke")
            users.setdefault(key, []).append((label, runs))
    rows = [
        Row(
            [name, sha256[:12], ", ".join(label for label, _ in found), f"{accuracy:.1%}", f"{size:,}"],
            [run for _, runs in found for run in runs],
        )
        for (name, sha256, accuracy, size, _), found in users.items()
    ]
    return Table(("trained on", "SHA-256", "used by", "right on real ones", "samples"), rows, n_text=3)


def _experiment(label: str, runs: Sequence[Result], pictures: dict[str, Source]) -> Section:
    first = runs[0]
    slug = f"experiment-{first['model']}-{first['preset']}-{_digest(facets(first))}"
    about = f"{first['question'][0].upper()}{first['question'][1:]}"
    title = f"{label}"
    rows = of_experiments.contenders(runs)
    drawn = grid(slug, "Contenders", "", rows, EXPERIMENTS)
    notes = [f"{name}: {measure['what']}" for name, measure in first["measures"].items()]
    notes += [
        f"Judge of {name}: {judge['accuracy_on_real']:.1%} right on real ones, SHA-256 {judge['sha256'][:12]}, "
        f"{first['size']['n_judged']:,} judged samples"
        for name, judge in first["judges"].items()
    ]
    shown = [source for run in runs if (source := pictures.get(run[FILE])) is not None][:1]
    found = [
        Figure(
            title,
            f"From the top: {run['caption']} (seed {run['seed']})." if run["caption"] else "",
            figures.png_uri(source.picture),
            EXPERIMENTS.family(run),
            EXPERIMENTS.tasks(run),
            EXPERIMENTS.origins([run]),
            is_pixels=True,
        )
        for source in shown
        if (run := source.data) and source.picture is not None
    ]
    no_heading = Grid(drawn.slug, "", "", drawn.header, drawn.n_text, drawn.lines)
    return Section(slug, title, about, [no_heading], found, link=first["paper"], notes=notes)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:8]
