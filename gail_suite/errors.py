"""The one exception that is a message to the user and not a bug."""


class InputError(ValueError):
    """Bad input from a user.

    The message is one line that says what is wrong and how to mend it; the command line prints it without a traceback
    and ends with code 2.  It is a `ValueError`, so that users of the library can catch it as one.
    """
