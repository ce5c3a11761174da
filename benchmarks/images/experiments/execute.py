"""One run of an experiment, from its configuration to result.json and picture.png."""

import time
from typing import Any

import torch

from benchmarks.images.config import ImageConfig
from benchmarks.images.experiments.cases import EXPERIMENTS
from benchmarks.images.experiments.experiment import Experiment, Size
from benchmarks.images.experiments.lab import Lab
from benchmarks.images.folder import Folder
from benchmarks.images.launched import require_one_process
from benchmarks.images.run import device_name, find_device
from gail_suite.errors import InputError
from gail_suite.run_directory import write_json


class ExperimentRun:
    """An experiment as the configuration wants it; trains nothing yet.

    Raises InputError for flags that no experiment has, and for a device that is not there.
    """

    def __init__(self, config: ImageConfig) -> None:
        require_one_process(config.model)
        self.config = config
        self.experiment: Experiment = EXPERIMENTS[config.model]
        given = {
            "--dataset": config.dataset,
            "--pixels": config.pixels,
            "--precision": config.precision != "float32",
            "--compile": config.compile,
        }
        for flag, value in given.items():
            if value:
                raise InputError(f"{config.model} is an experiment with data of its own, in float32: leave {flag} out")
        self.device = find_device(config)
        self.size: Size = self.experiment.size(config.preset)
        if config.steps is not None:
            self.size = type(self.size)(**{**self.size.as_dict(), "steps": config.steps})
        if config.threads:
            torch.set_num_threads(config.threads)

    def execute(self, folder: Folder) -> dict[str, Any]:
        """Train and judge all contenders; returns what result.json holds.  An interrupted one begins anew."""
        config, experiment = self.config, self.experiment
        origin = folder.origin()
        torch.manual_seed(config.seed)
        lab = Lab(
            seed=config.seed,
            device=self.device,
            size=self.size,
            smoke=config.preset == "smoke",
            data_dir=config.data_dir,
            picture=folder.picture_file,
        )
        began = time.monotonic()
        rows = experiment.run(lab, self.size)
        result = {
            "benchmark": "experiments",
            "model": config.model,
            "about": experiment.about,
            "paper": experiment.paper,
            "question": experiment.question,
            "preset": config.preset,
            "seed": config.seed,
            **origin,
            "device": device_name(self.device),
            "threads": torch.get_num_threads(),
            "size": self.size.as_dict(),
            "seconds": round(time.monotonic() - began, 1),
            "measures": {name: measure._asdict() for name, measure in experiment.measures.items()},
            "rows": [row._asdict() for row in rows],
            "data": lab.data,
            "judges": lab.judges,
            "trainings": lab.trainings,
            "caption": lab.caption,
        }
        unknown = {name for row in rows for name in row.values} - set(experiment.measures)
        assert not unknown, f"{config.model} measured {unknown} and does not say what they are"
        write_json(folder.result_file, result)
        return result
