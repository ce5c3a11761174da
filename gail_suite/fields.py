"""Whether a value out of a JSON file is of the type that a field declares."""

import sys
import types
from typing import Any, Literal, Union, get_args, get_origin


def fits(value: Any, hint: Any) -> bool:
    """Exactly of that type; a whole number that a float can hold is one too, and a bool is no number."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin is Literal:
        return any(type(value) is type(choice) and value == choice for choice in inner)
    if origin in (Union, types.UnionType):
        return any(fits(value, alternative) for alternative in inner)
    if origin is tuple:  # tuple[int, ...]
        return type(value) is tuple and all(fits(item, inner[0]) for item in value)
    if origin is dict:
        return type(value) is dict and all(fits(k, inner[0]) and fits(v, inner[1]) for k, v in value.items())
    if hint is float and type(value) is int:
        return abs(value) <= sys.float_info.max
    return type(value) is hint
