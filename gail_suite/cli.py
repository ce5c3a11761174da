"""How every verb (`python -m gail_suite.<verb>`) ends: exit codes, and one line instead of a traceback."""

import errno
import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn

from gail_suite.errors import InputError, printable
from gail_suite.signals import die_at_the_next, exit_code, raising

EXIT_BAD_INPUT = 2  # the code of the argument parser's own errors too

_REMEDIES = {
    errno.ENOSPC: "free some space, or write to another disk",
    errno.EDQUOT: "free some of your quota, or write to another disk",
    errno.EFBIG: "lift the limit on file sizes (ulimit -f), or write to another file system",
    errno.EACCES: "choose a place that you may read and write",
    errno.EPERM: "choose a place that you may read and write",
    errno.EROFS: "choose a place on a disk that can be written",
    errno.ENOENT: "check the path",
    errno.ELOOP: "check the links on this path",
    errno.EIO: "the disk or what it holds is damaged; go on with a copy elsewhere",
    errno.EEXIST: "a file is in the way; choose another path",
    errno.EISDIR: "give a file's name, not a folder's",
    errno.ENOTDIR: "a part of this path is a file; choose another path",
    errno.ENAMETOOLONG: "choose a shorter name",
}
_NO_MEMORY = re.compile(r"can't allocate memory|not enough memory|bad_alloc|alloc_failed|out of memory", re.IGNORECASE)
_USER_ERRORS = (("generative_core.training.checkpoint", "CheckpointError"), ("envs.make", "UnknownEnvironmentError"))


def run_verb(main: Callable[[], int | None]) -> NoReturn:
    """Run a verb and leave the process: 0 or what `main` returns, 2 for bad input, 130 for Ctrl-C, 143 for SIGTERM.

    Bad input, a damaged checkpoint, a disk that refuses and a memory that is full are one line on stderr, and so, with
    code 1, are numbers that stopped being finite; everything else is a bug of ours and keeps its traceback.
    """
    # Threads of the networks that spin while they wait take the cores from the simulators and from whatever else runs;
    # threads that sleep at once cost 0.3 ms at every waking.  This many turns last some ten microseconds: from one
    # layer to the next, and no longer.  Read once, when torch is loaded, which every verb does after this.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    try:
        with raising():
            code = main() or 0
        sys.exit(code)
    except KeyboardInterrupt as stopped:
        die_at_the_next()
        print("interrupted", file=sys.stderr)
        sys.exit(exit_code(stopped))
    except FloatingPointError as error:
        reason = printable(" ".join(str(error).split()))
        print(
            f"error: not finite any more ({reason}); look at the task's own rewards, or lower --*-lr", file=sys.stderr
        )
        sys.exit(1)
    except Exception as error:
        line = _message_for_users(error)
        if line is None:
            raise
        print(f"error: {printable(line)}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)


def _message_for_users(error: Exception) -> str | None:
    """One line, or None where the error is not the user's to mend."""
    if isinstance(error, (InputError, *_loaded_user_errors())):
        return " ".join(str(error).split())
    if _is_out_of_memory(error):
        reason = " ".join(str(error).split())[:200] or "the system gives no more"
        return (
            f"not enough memory ({reason}); free some (other processes, --device cpu) and go on with --resume, or "
            f"begin anew with smaller batches or networks"
        )
    if isinstance(error, OSError) and error.errno in _REMEDIES:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}; {_REMEDIES[error.errno]}"
    return None


def _is_out_of_memory(error: Exception) -> bool:
    """Of the processor or of a device: torch says either by a RuntimeError, which only its text tells from others."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and bool(_NO_MEMORY.search(str(error))))


def _loaded_user_errors() -> Iterator[type[Exception]]:
    """The same of the packages below this one.  Nothing is imported: whoever raised one has loaded its module."""
    for module, name in _USER_ERRORS:
        if module in sys.modules:
            yield getattr(sys.modules[module], name)
