"""TensorBoard scalars, written in the caller's thread: a full disk is then an error where it can be handled.

TensorBoard's own writer hands events to a thread, which dies there with a traceback and lets `flush` wait for ever.
"""

import os
import socket
import time
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from gail_suite.demonstrations.atomic import naming


class Scalars:
    """One event file in `folder`; `first_step` hides what an interrupted run logged from that step on."""

    def __init__(self, folder: Path, first_step: int = 0):
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"
        self._path = folder / name
        self._file = self._path.open("wb")
        self._records = RecordWriter(self._file)
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))
        if first_step:
            self._write(Event(wall_time=time.time(), step=first_step, session_log=SessionLog(status=SessionLog.START)))

    def add(self, values: dict[str, float], step: int) -> None:
        """One point of every curve."""
        entries = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._write(Event(wall_time=time.time(), step=step, summary=Summary(value=entries)))

    def close(self) -> None:
        self._file.close()

    def _write(self, event: Event) -> None:
        with naming(self._path):
            self._records.write(event.SerializeToString())
            self._file.flush()
