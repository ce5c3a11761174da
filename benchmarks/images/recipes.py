"""What an entry of `CASES` is made of: the data it takes, how each preset trains it, and how it is judged."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from benchmarks.data import DataSet, Pixels
from benchmarks.images.evaluation import Evaluation
from generative_core import HasLoss, MaximumLikelihoodStep, TrainStep, cosine_decay
from generative_core.training.contrastive_divergence import ContrastiveDivergenceStep
from generative_core.training.steps import Average

Build = Callable[[DataSet], Any]
"""The model for the events of a data set."""


@dataclass(frozen=True, kw_only=True)
class StepSettings:
    """What the command line says about the updates, beside the recipe."""

    n_steps: int
    autocast: torch.dtype | None = None
    compile: bool = False
    average: Average | None = None
    """Over the processes that train together; None: this one trains alone."""
    seed: int = 0


def maximum_likelihood(model: HasLoss, recipe: "Recipe", settings: StepSettings) -> TrainStep:
    """AdamW on minus the log-likelihood or its bound, the step size falling to zero along a cosine."""
    return MaximumLikelihoodStep(
        model,
        lr=recipe.lr,
        schedule=cosine_decay(settings.n_steps, warm_up=min(recipe.warm_up, settings.n_steps // 10)),
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        autocast=settings.autocast,
        compile=settings.compile,
        average=settings.average,
        seed=settings.seed,
    )


def persistent_chains(model: Any, recipe: "Recipe", settings: StepSettings) -> TrainStep:
    """As many Gibbs chains as events in a batch, which live on from update to update.  Always float32, not compiled."""
    return ContrastiveDivergenceStep(
        model,
        lr=recipe.lr,
        schedule=cosine_decay(settings.n_steps, warm_up=min(recipe.warm_up, settings.n_steps // 10)),
        n_chains=recipe.batch_size,
        n_sweeps=recipe.n_sweeps,
        weight_decay=recipe.weight_decay,
        seed=settings.seed,
    )


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Updates of a model by gradient: one preset of a case."""

    build: Build
    steps: int
    """Updates."""
    max_side: int = 28
    """Images with longer sides are pooled, 2 x 2."""
    batch_size: int = 100
    lr: float = 1e-3
    """Step size of Adam at its highest."""
    warm_up: int = 0
    """Updates over which the step size rises."""
    weight_decay: float = 0.0
    """Decoupled (AdamW)."""
    max_grad_norm: float | None = None
    ema: float | None = None
    """Decay of the moving average of the parameters that is judged in their place."""
    looks: int = 40
    """Validations over the run, a checkpoint with each."""
    patience: int | None = None
    """Looks without a better one before the run ends early; None: it never does."""
    n_sweeps: int = 1
    """Of Gibbs chains, an update, where there are any."""
    prepare: Callable[[Any, Tensor], None] | None = None
    """(model, training events): what starts from the data."""
    make_step: "Callable[[Any, Recipe, StepSettings], TrainStep]" = maximum_likelihood


@dataclass(frozen=True, kw_only=True)
class ClosedForm:
    """A model that is fitted in one go: one preset of a case."""

    build: Build
    fit: Callable[[Any, Tensor, Tensor, torch.Generator], object]
    """(model, events (N, *E), labels (N,), generator)."""
    max_side: int = 28


@dataclass(frozen=True, kw_only=True)
class Case:
    """One model of the benchmark."""

    about: str
    """What it is, for --list and the tables."""
    dataset: str
    """Where it is trained unless the command line says otherwise."""
    pixels: Pixels
    """What its events are; the command line may choose among the binary ones."""
    evaluation: Evaluation
    cpu: Recipe | ClosedForm
    """Reaches its figure in less than half an hour on one core."""
    gpu: Recipe | ClosedForm
    """The paper's size, for an accelerator."""


def describe(recipe: Recipe | ClosedForm) -> dict[str, Any]:
    """The plain values of a recipe, for the result."""
    values = {field.name: getattr(recipe, field.name) for field in fields(recipe)}
    return {name: value for name, value in values.items() if name not in ("build", "fit", "prepare", "make_step")}
