"""A trajectory folder of the `imitation` library, read without its own loader.

`imitation.data.serialize.save` writes a Hugging Face data set: Arrow files and two JSON files.  Its loader decodes the
`infos` column with jsonpickle, which builds any object a stranger names; so only the columns of numbers are read here.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gail_suite.demonstrations.archive import READING_ERRORS
from gail_suite.demonstrations.dataset import Demonstrations
from gail_suite.demonstrations.episodes import Episode, make_demonstrations
from gail_suite.demonstrations.layouts import is_real_end
from gail_suite.demonstrations.spaces import max_steps
from gail_suite.errors import InputError

STATE = "state.json"  # lists the Arrow files


def load(folder: Path, env_id: str | None) -> Demonstrations:
    """One episode a row: `obs` (T + 1, O), `acts` (T, A) or (T,), `terminal`, and `rews` (T,) where there are rewards.

    `terminal` does not tell a real end from a time-out; the task's time limit does, where `env_id` is given.
    """
    if not (folder / STATE).is_file():
        raise InputError(f"{folder} has no {STATE}, so it is no imitation trajectory folder; give the one that has")
    limit = max_steps(env_id)
    episodes = []
    for row in _rows(folder):
        length = len(row["acts"])
        episodes.append(
            Episode(
                obs=row["obs"],
                acts=row["acts"],
                rewards=row.get("rews"),
                ended=bool(row["terminal"]),
                terminated=bool(row["terminal"]) and is_real_end({"dones": True}, length, limit),
            )
        )
    return make_demonstrations(episodes, str(folder), env_id)


def _rows(folder: Path) -> list[dict[str, Any]]:
    import pyarrow as pa

    rows = []
    try:
        for entry in json.loads((folder / STATE).read_text())["_data_files"]:
            path = folder / Path(entry["filename"]).name  # never outside of the folder
            with pa.memory_map(str(path)) as source:
                table = pa.ipc.open_stream(source).read_all()
            names = [name for name in ("obs", "acts", "terminal", "rews") if name in table.column_names]
            table = table.select(names)
            _check_columns(table, folder)
            table.validate(full=True)  # Arrow trusts its offsets otherwise, and a wrong one ends the process
            for i in range(table.num_rows):
                rows.append({name: _array(table.column(name)[i]) for name in names})
    except InputError:
        raise
    except (*READING_ERRORS, pa.ArrowException) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{folder} is damaged ({reason}); copy it again") from error
    return rows


def _check_columns(table: Any, folder: Path) -> None:
    """Lists of numbers and a flag, before any row is made: a column of nothings may have any number of rows."""
    import pyarrow as pa

    def is_numbers(kind: Any, depth: int) -> bool:
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            return is_numbers(kind.value_type, depth + 1)
        return depth > 0 and (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind))

    if not {"obs", "acts", "terminal"} <= set(table.column_names):
        raise InputError(f"{folder} has no obs, acts and terminal columns; save it with imitation.data.serialize")
    for name in table.column_names:
        kind = table.schema.field(name).type
        if not (pa.types.is_boolean(kind) if name == "terminal" else is_numbers(kind, 0)):
            raise InputError(f"the column {name} of {folder} is {kind}; save it with imitation.data.serialize")


def _array(scalar: Any) -> NDArray | bool:
    """An Arrow value as numpy: nested lists of numbers keep their element type, (T,) or (T, D)."""
    import pyarrow as pa

    if not pa.types.is_list(scalar.type) and not pa.types.is_large_list(scalar.type):
        return scalar.as_py()
    values, shape = scalar.values, [len(scalar)]
    while pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        inner = values.flatten()
        shape.append(len(inner) // max(len(values), 1))
        values = inner
    return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(shape)
