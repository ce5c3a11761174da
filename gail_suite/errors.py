"""The one exception that is a message to the user and not a bug, and how text from files is shown."""


class InputError(ValueError):
    """Bad input from a user.

    The message is one line that says what is wrong and how to mend it; the command line prints it without a traceback
    and ends with code 2.  It is a `ValueError`, so that users of the library can catch it as one.
    """


def printable(text: str) -> str:
    """Text of a stranger's for the terminal: what would move its cursor or colour it is shown as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def plain(text: object) -> str:
    """The same for rich, which would also take what stands in brackets for markup."""
    from rich.markup import escape

    return escape(printable(str(text)))
