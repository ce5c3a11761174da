"""The preset smoke: that things run through, offline and in seconds.  Its figures mean nothing."""

import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.images.config import ImageConfig
from benchmarks.images.evaluation import AnnealedImportance, Evaluation, ImportanceWeighted
from benchmarks.images.families import FAMILIES
from benchmarks.images.recipes import Case, Recipe
from gail_suite.errors import InputError

DATA = "digits"  # 8 x 8, and no file
STEPS = 20


def small(case: Case) -> Case:
    """The case on data that need no file, with few updates and a coarse judgement."""
    recipe = case.cpu
    if isinstance(recipe, Recipe):
        recipe = replace(recipe, steps=STEPS, looks=2, batch_size=min(recipe.batch_size, 50))
    return replace(case, dataset=DATA, cpu=recipe, evaluation=_coarse(case.evaluation))


def _coarse(evaluation: Evaluation) -> Evaluation:
    if isinstance(evaluation, ImportanceWeighted):
        return replace(evaluation, k=10, k_for_all=10)
    if isinstance(evaluation, AnnealedImportance):
        return AnnealedImportance(10, 50, 5, 30)
    return evaluation


def run_families(run: Callable[[ImageConfig, list[str]], int], config: ImageConfig, arguments: Sequence[str]) -> int:
    """One model of each family, one after another; whatever fails is told, and the others go on.

    Returns 1 where one failed; each folder of those holds failure.json.
    """
    out = config.out or Path("runs") / "images" / f"smoke-{time.strftime('%Y%m%d-%H%M%S')}"
    failed = []
    for family, (model, *_) in FAMILIES.items():
        print(f"{family}: {model}", file=sys.stderr)
        try:
            code = run(replace(config, model=model, out=out / model), ["--model", model, *arguments])
        except Exception as error:  # noted in the folder and told below; the exit code says so too
            print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
            code = 2 if isinstance(error, InputError) else 1
        if code == 130:
            return code
        if code:
            failed.append(model)
    print(f"{len(FAMILIES) - len(failed)} of {len(FAMILIES)} families ran through; all in {shlex.quote(str(out))}")
    for model in failed:
        print(f"failed: {model}", file=sys.stderr)
    return 1 if failed else 0
