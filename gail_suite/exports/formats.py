"""An actor as ONNX or safetensors, and both read back as what they are elsewhere: files without this package."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from gail_suite.errors import InputError
from gail_suite.exports.actor import Actor

Format = Literal["onnx", "sb3", "safetensors"]
FILES: dict[Format, str] = {"onnx": "policy.onnx", "sb3": "policy.zip", "safetensors": "policy.safetensors"}
TOLERANCES: dict[Format, float] = {"onnx": 5e-6, "sb3": 1e-3, "safetensors": 5e-6}
"""How far exported actions may lie from the original's, in fractions of the action range: 5e-6 is 1e-5 in [-1, 1]."""
OPSET, IR_VERSION = 17, 8  # of 2022: every operator below is in it, and old runtimes read it
assert set(FILES) == set(TOLERANCES) == set(get_args(Format))


def check_installed(format: Format) -> None:
    """Raise InputError where the format's packages are missing."""
    missing = [name for name in ("onnx", "onnxruntime") if format == "onnx" and find_spec(name) is None]
    if missing:
        raise InputError(f"--format onnx needs {' and '.join(missing)}: pip install 'generative-imitation[export]'")


def write(format: Format, path: Path, actor: Actor, policy_zip: Path) -> None:
    """The policy as a file; SB3's is the run's own `policy.zip`, whose first layer holds the normaliser."""
    if format == "onnx":
        import onnx

        onnx.save(to_onnx(actor), path)
    elif format == "safetensors":
        path.write_bytes(to_safetensors(actor))
    else:
        shutil.copyfile(policy_zip, path)


def read(format: Format, path: Path, observation_space: Any, action_space: Any) -> Any:
    """What is in the file, with SB3's `predict`."""
    if format == "onnx":
        return OnnxPolicy(path)
    if format == "safetensors":
        return from_safetensors(path)
    from gail_suite.policies import read_sb3_zip

    return read_sb3_zip(path, observation_space, action_space)


def to_onnx(actor: Actor) -> Any:
    """`observation` (batch, O) float64 -> `action`, (batch, A) float32 or (batch,) int64: an `onnx.ModelProto`."""
    from onnx import TensorProto, checker, helper, numpy_helper

    nodes: list[Any] = []
    constants: list[Any] = []

    def constant(name: str, value: NDArray) -> str:
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(operator: str, *inputs: str, name: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    x = node("Sub", "observation", constant("shift", actor.shift), name="centred")
    x = node("Mul", x, constant("scale", actor.scale), name="standardised")
    x = node("Cast", x, name="features", to=TensorProto.FLOAT)
    for i, (weight, bias) in enumerate(actor.layers):
        arrays = constant(f"layers.{i}.weight", weight), constant(f"layers.{i}.bias", bias)
        x = node("Gemm", x, *arrays, name=f"linear_{i}", transB=1)
        if i < len(actor.layers) - 1:
            x = node(actor.activation.capitalize(), x, name=f"hidden_{i}")
    n_actions: int | None = len(actor.low)
    if actor.head == "argmax":
        n_actions = None
        node("ArgMax", x, name="action", axis=1, keepdims=0)
    elif actor.head == "clip":
        x = node("Max", x, constant("low", actor.low), name="at_least_low")
        node("Min", x, constant("high", actor.high), name="action")
    else:
        x = node("Tanh", x, name="squashed")
        x = node("Mul", x, constant("half_width", (actor.high - actor.low) / 2), name="stretched")
        node("Add", x, constant("middle", (actor.high + actor.low) / 2), name="action")
    kind = TensorProto.INT64 if n_actions is None else TensorProto.FLOAT
    shape: list[str | int | None] = ["batch"] if n_actions is None else ["batch", n_actions]
    graph = helper.make_graph(
        nodes,
        "policy",
        [helper.make_tensor_value_info("observation", TensorProto.DOUBLE, ["batch", len(actor.shift)])],
        [helper.make_tensor_value_info("action", kind, shape)],
        constants,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="generative-imitation",
    )
    checker.check_model(model, full_check=True)
    return model


class OnnxPolicy:
    """An ONNX policy in ONNX Runtime, on one thread of the processor."""

    def __init__(self, path: Path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])

    def predict(self, observation: Any, *, deterministic: bool = True) -> tuple[NDArray, None]:
        return self._session.run(None, {"observation": np.asarray(observation, np.float64)})[0], None


def to_safetensors(actor: Actor) -> bytes:
    """`shift`, `scale`, `low`, `high`, `layers.<i>.weight` and `.bias`; activation and head are in the metadata."""
    from safetensors.numpy import save

    arrays = {"shift": actor.shift, "scale": actor.scale, "low": actor.low, "high": actor.high}
    for i, (weight, bias) in enumerate(actor.layers):
        arrays |= {f"layers.{i}.weight": weight, f"layers.{i}.bias": bias}
    metadata = {"activation": actor.activation, "head": actor.head, "n_layers": json.dumps(len(actor.layers))}
    return save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, metadata)


def from_safetensors(path: Path) -> Actor:
    """The inverse of `to_safetensors`."""
    from safetensors import safe_open

    with safe_open(path, "numpy") as file:
        about, arrays = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    layers = tuple((arrays[f"layers.{i}.weight"], arrays[f"layers.{i}.bias"]) for i in range(int(about["n_layers"])))
    ends = {name: arrays[name] for name in ("shift", "scale", "low", "high")}
    return Actor(**ends, layers=layers, activation=about["activation"], head=about["head"])
