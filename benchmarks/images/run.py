"""One run of the benchmark: train, judge, write every file of the folder.  Exactly resumable."""

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.data import DataSet, Split
from benchmarks.images import files, launched, parallel, pictures
from benchmarks.images.cases import CASES
from benchmarks.images.config import ImageConfig
from benchmarks.images.events import load_events
from benchmarks.images.experiments.cases import EXPERIMENTS
from benchmarks.images.folder import Folder
from benchmarks.images.looks import EnoughLooks, Looks, set_random_state
from benchmarks.images.memory import PeakMemory
from benchmarks.images.progress import Progress
from benchmarks.images.recipes import Case, ClosedForm, Recipe, StepSettings, describe, maximum_likelihood
from benchmarks.images.roofline import ceilings_for, place, synchronise, work_of_draw, work_of_update
from benchmarks.images.smoke import small
from gail_suite.errors import InputError
from gail_suite.run_directory import write_json
from generative_core import ExponentialMovingAverage, MaximumLikelihoodStep, fit, load_checkpoint, save_checkpoint

EVENTS_SEED = 0  # of the noise of the validation and the test images, where their treatment has any
JUDGE_SEED = 700_001  # of the final estimates and of the samples
N_SAMPLES = 64


class Run:
    """Everything that a configuration names, built but not yet trained; makes no folder.

    Raises InputError for a case, a data set or a device that is not there, and for data that the model cannot take.
    """

    def __init__(self, config: ImageConfig) -> None:
        if config.model in EXPERIMENTS:
            launched.require_one_process(config.model)
        if config.model not in CASES:
            raise InputError(f"there is no case {config.model!r}; choose among {', '.join([*CASES, *EXPERIMENTS])}")
        self.config = config
        self.case: Case = CASES[config.model]
        if config.preset == "smoke":
            self.case = small(self.case)
        self.recipe = self.case.gpu if config.preset == "gpu" else self.case.cpu
        self._refuse_flags_without_effect()
        device = find_device(config)
        self.config = replace(config, device=str(device))  # a resume elsewhere must not change it silently
        self.team = parallel.join(device)
        self.device = device if self.team is None else self.team.device
        if config.threads:
            torch.set_num_threads(config.threads)
        self.data: DataSet = load_events(config, self.case, self.recipe.max_side)
        torch.manual_seed(config.seed)  # the parameters, and dropout's masks later
        try:
            self.model: nn.Module = self.recipe.build(self.data).to(self.device)
        except ValueError as error:
            raise InputError(
                f"{config.model} cannot take {self.data.name} ({error}); choose another --dataset"
            ) from error
        self.memory = PeakMemory(self.device)

    def _refuse_flags_without_effect(self) -> None:
        config, recipe = self.config, self.recipe
        if isinstance(recipe, ClosedForm) and config.steps is not None:
            raise InputError(f"{config.model} is fitted in one go: leave --steps out")
        is_plain = isinstance(recipe, Recipe) and recipe.make_step is maximum_likelihood
        if not is_plain and (config.precision != "float32" or config.compile):
            raise InputError(
                f"{config.model} is trained in float32 and not compiled: leave --precision and --compile out"
            )
        if not is_plain:
            launched.require_one_process(config.model)

    def follow(self, folder: Folder) -> None:
        """Train, or go on, beside the main process, which does all else."""
        assert isinstance(self.recipe, Recipe)
        self._train(self.recipe, folder)

    def execute(self, folder: Folder) -> dict[str, Any]:
        """Train, or go on, then judge the best parameters; returns what result.json holds."""
        origin = folder.origin()  # before the training, which a damaged one would waste
        if isinstance(self.recipe, ClosedForm):
            trained = self._fit(folder)
        else:
            trained = self._outcome(self.recipe, folder, self._train(self.recipe, folder))
        n_processes = 1 if self.team is None else self.team.size
        began = time.monotonic()
        judged = self._judge()
        seconds_judging = time.monotonic() - began
        began = time.monotonic()
        samples = self._samples()
        synchronise(self.device)
        seconds_sampling = time.monotonic() - began
        pictures.draw_samples(samples, folder.samples_file, is_binary=self.data.is_binary)
        result = {
            "benchmark": "images",
            "model": self.config.model,
            "class": type(self.model).__name__,
            "about": self.case.about,
            "preset": self.config.preset,
            "seed": self.config.seed,
            **origin,
            "device": device_name(self.device, n_processes),
            "threads": torch.get_num_threads() * n_processes,
            **({"processes": n_processes} if n_processes > 1 else {}),
            "precision": self.config.precision,
            "compile": self.config.compile,
            "data": {**self.data.provenance(), "pool": self.data.pool, "events_seed": EVENTS_SEED},
            "parameters": count_parameters(self.model),
            "recipe": describe(self.recipe),
            "training": {name: value for name, value in trained.items() if name != "curve"},
            "test": judged,
            "samples": {"n": len(samples), "seed": JUDGE_SEED, "seconds": round(seconds_sampling, 2)},
            "seconds_judging": round(seconds_judging, 1),
            "files": files.sizes(self.model, self._events("test")[: files.N_IMAGES]),
            "peak_memory": self.memory.read(),
            "roofline": self._roofline(trained, seconds_sampling),
            "curve": trained["curve"],
        }
        pictures.draw_curve(result, folder.curve_file)
        write_json(folder.result_file, result)
        return result

    # -- training ------------------------------------------------------------------------------------------------------

    def _fit(self, folder: Folder) -> dict[str, Any]:
        assert isinstance(self.recipe, ClosedForm)
        began = time.monotonic()
        generator = torch.Generator(self.device).manual_seed(self.config.seed)
        labels = self.data.labels("train").to(self.device)
        self.recipe.fit(self.model, self._events("train"), labels, generator)
        seconds = time.monotonic() - began
        save_checkpoint(folder.best, {"model": self.model.state_dict()})
        return {"seconds": round(seconds, 2), "curve": []}

    def _train(self, recipe: Recipe, folder: Folder) -> Looks:
        config, team = self.config, self.team
        n_steps = self._n_steps(recipe)
        n_rows = len(self.data.labels("train"))
        if recipe.batch_size > n_rows:
            raise InputError(f"{self.data.name} has {n_rows} images, less than a batch of {recipe.batch_size}")
        if team is not None:
            team.require_even(recipe.batch_size)
        settings = replace(
            self._step_settings(recipe), compile=config.compile, average=None if team is None else team.average
        )
        if recipe.prepare is not None:
            recipe.prepare(self.model, self._events("train"))
        step = recipe.make_step(self.model, recipe, settings)
        batches = self.data.batches(recipe.batch_size, seed=config.seed, device=self.device)
        parts: dict[str, Any] = {"step": step, "batches": batches}
        hooks: list[Callable[[int, dict[str, float]], None]] = []
        judged = self.model
        is_main = team is None or team.is_main
        if recipe.ema is not None and is_main:
            ema = ExponentialMovingAverage(self.model, decay=recipe.ema)
            parts["ema"] = ema
            hooks.append(ema)
            judged = ema.model
        looks = Looks(
            judged,
            self._events("validation"),
            self.case.evaluation,
            folder,
            parts,
            every=math.ceil(n_steps / recipe.looks),
            n_steps=n_steps,
            patience=recipe.patience,
        )
        first_step = 0
        if folder.last.exists():
            load_best(folder, self.model)  # to know now and not after the training that it is whole
            first_step = restore(folder, parts, looks)
        hooks.append(looks if team is None else team.look(looks))
        if is_main:
            hooks.append(Progress(f"{config.model} on {self.data.name}", n_steps, looks))
        if not looks.is_enough:
            stream: Iterator[tuple[Tensor, ...]] = batches
            if team is not None:
                assert isinstance(step, MaximumLikelihoodStep)
                stream = team.parts(batches, step, seed=config.seed, first_step=first_step)
            with suppress(EnoughLooks):
                fit(step, stream, n_steps, hooks, first_step=first_step)
        if team is not None:
            team.part()
        return looks

    def _outcome(self, recipe: Recipe, folder: Folder, looks: Looks) -> dict[str, Any]:
        seconds_updating = looks.seconds - looks.seconds_looking
        load_best(folder, self.model)
        last = looks.rows[-1]
        return {
            "updates": last["step"],
            "best_update": looks.best["step"],
            "best_validation_nats": looks.best["nats"],
            "epochs": round(last["step"] * recipe.batch_size / len(self.data.labels("train")), 2),
            "seconds": last["seconds"],
            "seconds_looking": round(looks.seconds_looking, 1),
            "seconds_an_update": seconds_updating / last["step"],
            "curve": looks.rows,
        }

    def _n_steps(self, recipe: Recipe) -> int:
        return self.config.steps or recipe.steps

    def _step_settings(self, recipe: Recipe) -> StepSettings:
        """Of one process, not compiled."""
        return StepSettings(
            n_steps=self._n_steps(recipe),
            autocast=torch.bfloat16 if self.config.precision == "bfloat16" else None,
            seed=self.config.seed,
        )

    # -- what came of it -----------------------------------------------------------------------------------------------

    @torch.no_grad()
    def _judge(self) -> dict[str, Any]:
        self.model.eval()
        found = self.case.evaluation.judge(self.model, self._events("test"), seed=JUDGE_SEED)
        if not math.isfinite(found.nats):
            raise FloatingPointError(f"the test images have {found.nats} nats")
        return found.as_dict(self.data)

    def _roofline(self, trained: dict[str, Any], seconds_sampling: float) -> dict[str, Any] | None:
        """What training and sampling achieved beside the device's ceilings; None for what is fitted in one go, and for
        several processes, whose ceilings are not this one's.

        The work is that of one more update of a copy, not compiled, since the counter sees no compiled operation, and
        of one more draw.
        """
        if not isinstance(self.recipe, Recipe) or self.team is not None:
            return None
        recipe, device = self.recipe, self.device
        step = recipe.make_step(copy.deepcopy(self.model), recipe, self._step_settings(recipe))
        batch = next(self.data.batches(recipe.batch_size, seed=self.config.seed, device=device))
        update, draw = work_of_update(step, batch), work_of_draw(self.model, self._samples)
        dtype = torch.bfloat16 if self.config.precision == "bfloat16" else torch.float32
        seconds = trained["seconds_an_update"]
        return {
            "training": place(update, seconds, recipe.batch_size, ceilings_for(update, device, dtype)),
            "sampling": place(draw, seconds_sampling, N_SAMPLES, ceilings_for(draw, device, torch.float32)),
        }

    def _events(self, split: Split) -> Tensor:
        return self.data.events(split, seed=EVENTS_SEED).to(self.device)

    @torch.no_grad()
    def _samples(self) -> Tensor:
        generator = torch.Generator(self.device).manual_seed(JUDGE_SEED)
        return self.model.sample(N_SAMPLES, generator=generator)  # type: ignore[operator]  # every case is a Sampler


def restore(folder: Folder, parts: dict[str, Any], looks: Looks) -> int:
    """Put everything back as the last checkpoint has it; returns the number of updates made."""
    state = load_checkpoint(folder.last)
    try:
        for name, part in parts.items():
            part.load_state_dict(state[name])
        looks.load_state_dict(state["looks"])
        set_random_state(state["random"])
        return state["first_step"]
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{folder.last} is not a checkpoint of this run ({reason}); start a new run") from error


def load_best(folder: Folder, model: nn.Module) -> None:
    """Give the model its best parameters.  Raises InputError where the run has none that fit it."""
    try:
        model.load_state_dict(load_checkpoint(folder.best)["model"])
    except (FileNotFoundError, KeyError, RuntimeError, TypeError) as error:
        reason = "there is none" if isinstance(error, FileNotFoundError) else " ".join(str(error).split())[:200]
        raise InputError(
            f"{folder.best} is not the best checkpoint of this run ({reason}); restore it or start a new run"
        ) from error


def find_device(config: ImageConfig) -> torch.device:
    """Raises InputError for one that is not here."""
    if config.device == "auto":
        return torch.device("cuda" if config.preset == "gpu" and torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(config.device)
        torch.empty(1, device=torch.Generator(device).device)  # "meta" holds tensors, but draws nothing
    except (RuntimeError, AssertionError, ImportError) as error:  # torch without CUDA asserts
        raise InputError(f"the device {config.device!r} is not available here; try --device cpu") from error
    return device


def device_name(device: torch.device, n: int = 1) -> str:
    """cpu, or the accelerator's own name, with their number where there are several."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return f"{n} x {name}" if n > 1 and device.type != "cpu" else name


def count_parameters(model: nn.Module) -> int:
    """Numbers that training or the fit sets; a model with a `fit` keeps them in buffers, where exact zeros are none."""
    trained = sum(parameter.numel() for parameter in model.parameters())
    return trained or sum(int(b.count_nonzero()) for b in model.buffers() if b.is_floating_point())
