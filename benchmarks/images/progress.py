"""A live bar on stderr; where stderr is no terminal, a line at each look."""

from contextlib import AbstractContextManager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from benchmarks.images.looks import Looks


class Progress(AbstractContextManager["Progress"]):
    """A hook of `fit`, to come after the looks whose rows it shows."""

    def __init__(self, title: str, n_steps: int, looks: Looks) -> None:
        self._title, self._n_steps, self._looks = title, n_steps, looks
        self._console = Console(stderr=True)
        self._live = self._console.is_terminal
        self._bar = Bar(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._live,
        )
        self._task = self._bar.add_task(title, total=n_steps, numbers="")
        self._n_shown = len(looks.rows)

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bar.stop()

    def __call__(self, i: int, metrics: dict[str, float]) -> None:
        numbers = f"loss {metrics['loss']:.2f}"
        if self._looks.rows:
            numbers += f"  validation {self._looks.rows[-1]['validation_nats']:.2f} nats"
        self._bar.update(self._task, completed=i + 1, numbers=numbers)
        if not self._live and len(self._looks.rows) > self._n_shown:
            self._n_shown = len(self._looks.rows)
            line = f"{self._title}  {i + 1:,}/{self._n_steps:,}  {numbers}  {self._looks.seconds:.0f} s"
            self._console.print(line, highlight=False, soft_wrap=True)
