"""Ctrl-C and SIGTERM: they end a verb where it stands, or at the end of its round where that can be saved."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)
GRACE_S = 8.0
"""Seconds that a round has to end after the first signal; a resume repeats what is cut off."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, raised where Ctrl-C raises KeyboardInterrupt."""


def interruption(number: int, message: str = "") -> KeyboardInterrupt:
    """The exception of a signal."""
    return (Terminated if number == signal.SIGTERM else KeyboardInterrupt)(message)


def exit_code(stopped: KeyboardInterrupt) -> int:
    """128 and the signal's number, as shells count it."""
    return 128 + int(signal.SIGTERM if isinstance(stopped, Terminated) else signal.SIGINT)


@contextmanager
def raising() -> Iterator[None]:
    """Both signals raise, wherever the block is, so that files are closed, temporary ones removed, cursors shown."""
    with _handled(_raise):
        yield


def die_at_the_next() -> None:
    """From here on either signal ends the process without a word: it is leaving already."""
    try:
        for number in _heard():
            signal.signal(number, signal.SIG_DFL)
    except ValueError:  # not the main thread: whoever runs us there has handlers of their own
        pass


@contextmanager
def interruptible(on_signal: Callable[[int], None]) -> Iterator[None]:
    """The first signal calls `on_signal(number)`, so that a round can end and be saved; the second one raises at once.

    A round that has not ended `GRACE_S` seconds after the first signal is cut off by the same exception.
    """
    before: tuple[Any, tuple[float, float], float] | None = None

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal before
        for each in _heard():
            signal.signal(each, _raise)
        if hasattr(signal, "setitimer"):  # Windows has none, and waits for the round
            late = signal.signal(signal.SIGALRM, lambda *_: _raise(number, None))
            before = late, signal.setitimer(signal.ITIMER_REAL, GRACE_S), time.monotonic()
        on_signal(number)

    with _handled(handle):
        try:
            yield
        finally:
            if before is not None:
                handler, (seconds, interval), since = before
                signal.signal(signal.SIGALRM, handler)
                left = max(seconds - (time.monotonic() - since), 1e-3) if seconds else 0.0
                signal.setitimer(signal.ITIMER_REAL, left, interval)


def _heard() -> list[signal.Signals]:
    """A shell has its background jobs ignore Ctrl-C, which is meant for what stands in front: so it stays."""
    return [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]


def _raise(number: int, frame: FrameType | None) -> NoReturn:
    raise interruption(number)


@contextmanager
def _handled(handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    previous = {}
    try:
        for number in _heard():
            previous[number] = signal.signal(number, handle)
    except ValueError:  # not the main thread: whoever runs us there has handlers of their own
        previous = {}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
