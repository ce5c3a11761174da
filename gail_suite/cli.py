"""How every verb (`python -m gail_suite.<verb>`) ends: exit codes, and one line instead of a traceback."""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn

from gail_suite.errors import InputError

EXIT_BAD_INPUT = 2  # the code of the argument parser's own errors too
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells count it

_REMEDIES = {
    errno.ENOSPC: "free some space, or write to another disk",
    errno.EDQUOT: "free some of your quota, or write to another disk",
    errno.EFBIG: "lift the limit on file sizes (ulimit -f), or write to another file system",
    errno.EACCES: "choose a place that you may read and write",
    errno.EPERM: "choose a place that you may read and write",
    errno.EROFS: "choose a place on a disk that can be written",
    errno.EEXIST: "a file is in the way; choose another path",
    errno.EISDIR: "give a file's name, not a folder's",
    errno.ENOTDIR: "a part of this path is a file; choose another path",
    errno.ENAMETOOLONG: "choose a shorter name",
}
_USER_ERRORS = (("generative_core.training.checkpoint", "CheckpointError"), ("envs.make", "UnknownEnvironmentError"))


def run_verb(main: Callable[[], int | None]) -> NoReturn:
    """Run a verb and leave the process: 0 or what `main` returns, 2 for bad input, 130 for Ctrl-C.

    Bad input, a damaged checkpoint and a disk that refuses are one line on stderr; everything else is a bug of ours and
    keeps its traceback.
    """
    # Threads of the networks that spin while they wait take the cores from the simulators and from whatever else runs;
    # threads that sleep at once cost 0.3 ms at every waking.  This many turns last some ten microseconds: from one
    # layer to the next, and no longer.  Read once, when torch is loaded, which every verb does after this.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    try:
        sys.exit(main() or 0)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except Exception as error:
        line = _message_for_users(error)
        if line is None:
            raise
        print(f"error: {line}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)


def _message_for_users(error: Exception) -> str | None:
    """One line, or None where the error is not the user's to mend."""
    if isinstance(error, (InputError, *_loaded_user_errors())):
        return " ".join(str(error).split())
    if isinstance(error, OSError) and error.errno in _REMEDIES:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}; {_REMEDIES[error.errno]}"
    return None


def _loaded_user_errors() -> Iterator[type[Exception]]:
    """The same of the packages below this one.  Nothing is imported: whoever raised one has loaded its module."""
    for module, name in _USER_ERRORS:
        if module in sys.modules:
            yield getattr(sys.modules[module], name)
