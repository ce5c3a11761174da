"""Every shape and dtype in the core's annotations is checked at each call that a test makes."""

import signal

import pytest
from jaxtyping import install_import_hook

install_import_hook("generative_core", "beartype.beartype")

# a job that a shell runs in the background ignores Ctrl-C, and hands that down to all that a test starts and interrupts
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Bytes do not name a test: they may hold the time of their making, and every worker must find the same names."""
    return argname if isinstance(val, bytes) else None
