"""Random and expert returns per task, each with the command that measured it: the two ends of `normalised_return`."""

import json
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("reference.json")


def reference_returns(env_id: str) -> dict[str, dict[str, Any]] | None:
    """{"random": {...}, "expert": {...}} with `return_mean`, `episodes`, `command` and more; None if unmeasured."""
    return json.loads(PATH.read_text()).get(env_id) if PATH.exists() else None
