"""The model card: what the policy is, how well it does beside its controls, and how it was made; all from the files."""

from dataclasses import asdict, dataclass
from typing import Any

from gail_suite.config import TrainConfig
from gail_suite.evaluation import FINAL_SEED
from gail_suite.exports.actor import Actor
from gail_suite.exports.check import CHECK_SEED, N_OBSERVATIONS, Returns
from gail_suite.exports.formats import FILES, Format
from gail_suite.recorder import SELECTION_SEED
from gail_suite.report import ROWS, cells
from gail_suite.run_off import RUN_OFF_SEED

_SB3_CLASSES = {"ppo": "PPO", "sac": "SAC", "td3": "TD3"}
_SELECTED_BY = {
    "return": "the best true return, which a real imitator does not have: the last policy stands beside it",
    "reward": "the best learned reward",
    "last": "being the last",
}
_ACTIVATION_LINES = {"ELU": "np.where(x > 0, x, np.expm1(np.minimum(x, 0)))", "ReLU": "np.maximum(x, 0)"}
_HEAD_LINES = {
    "clip": 'action = np.clip(x, arrays["low"], arrays["high"])',
    "tanh": 'action = arrays["low"] + (arrays["high"] - arrays["low"]) * (np.tanh(x) + 1) / 2',
    "argmax": "action = x.argmax()",
}


@dataclass(frozen=True)
class Measured:
    """What the export found about itself."""

    difference: float  # see check.difference
    returns: Returns | None


def model_card(
    format: Format, config: TrainConfig, evaluation: dict[str, Any], actor: Actor, measured: Measured, command: str
) -> str:
    """Markdown.  `evaluation` is what `evaluation.json` holds, `command` that of the export."""
    parts = [
        f"# {config.env}: a policy by adversarial imitation",
        _introduction(format, config, evaluation),
        "## Use",
        f"```python\n{usage(format, config, actor)}\n```",
        "## Task",
        _task(config, actor),
        "## Demonstrations",
        _demonstrations(config, evaluation),
        "## Returns",
        _returns(config, evaluation),
        "## The file beside the original",
        _equality(format, actor, measured),
        "## How it was made",
        _origin(config, evaluation, command),
    ]
    return "\n\n".join(parts) + "\n"


def usage(format: Format, config: TrainConfig, actor: Actor) -> str:
    """Python that computes `action` from one `observation` (O,), in the folder of the file, without this package."""
    name = FILES[format]
    if format == "onnx":
        return (
            "import numpy as np\nimport onnxruntime\n\n"
            f'session = onnxruntime.InferenceSession("{name}")\n'
            'action = session.run(None, {"observation": np.asarray(observation, np.float64)[None]})[0][0]'
        )
    if format == "sb3":
        kind = _SB3_CLASSES[config.algo]
        return (
            f"from stable_baselines3 import {kind}\n\n"
            f'action, _ = {kind}.load("{name}", device="cpu").predict(observation, deterministic=True)'
        )
    n_hidden = len(actor.layers) - 1
    return (
        "import numpy as np\nfrom safetensors.numpy import load_file\n\n"
        f'arrays = load_file("{name}")\n'
        'x = ((observation - arrays["shift"]) * arrays["scale"]).astype(np.float32)\n'
        f"for i in range({n_hidden}):\n"
        '    x = arrays[f"layers.{i}.weight"] @ x + arrays[f"layers.{i}.bias"]\n'
        f"    x = {_ACTIVATION_LINES[actor.activation]}\n"
        f'x = arrays["layers.{n_hidden}.weight"] @ x + arrays["layers.{n_hidden}.bias"]\n'
        f"{_HEAD_LINES[actor.head]}"
    )


def _introduction(format: Format, config: TrainConfig, evaluation: dict[str, Any]) -> str:
    return (
        f"`{FILES[format]}` maps a raw observation of {config.env} to an action; the normaliser of the observations is "
        f"inside. It was learned from demonstrations with {config.algo.upper()} on the reward `{config.reward}`. It is "
        f"the checkpoint of {evaluation['policy_env_steps']:,} of {evaluation['env_steps']:,} environment steps, "
        f"chosen by {_SELECTED_BY[config.select]}. It knows the simulated task alone, and no other body or friction."
    )


def _task(config: TrainConfig, actor: Actor) -> str:
    n_outputs = len(actor.layers[-1][1])
    if actor.head == "argmax":
        actions = f"one of {n_outputs}, counted from 0"
    else:
        actions = f"{n_outputs}, within {_numbers(actor.low)} to {_numbers(actor.high)}"
    lines = [
        f"- gymnasium id: `{config.env}`",
        f"- observations: {len(actor.shift)}, as the task gives them",
        f"- actions: {actions}",
    ]
    if config.parsed_env_kwargs():
        lines.append(f"- arguments of the environment: `{config.env_kwargs}`")
    return "\n".join(lines)


def _numbers(values: Any) -> str:
    """`0.4`, or `[0.4, 1]` where they differ."""
    texts = [f"{value:g}" for value in values]
    return texts[0] if len(set(texts)) == 1 else f"[{', '.join(texts)}]"


def _demonstrations(config: TrainConfig, evaluation: dict[str, Any]) -> str:
    source = f"`{config.demos}`" if config.demos else f"the expert of {config.env}, seed {config.demos_seed}"
    every = "every pair" if config.subsample == 1 else f"every {config.subsample}th pair"
    mean = evaluation["demonstrations_return_mean"]
    returned = "not recorded" if mean is None else f"{mean:,.1f}"
    return (
        f"- source: {source}\n- episodes: {evaluation['n_demos']}\n- pairs: {evaluation['pairs']:,} ({every})\n"
        f"- their mean return: {returned}"
    )


def _returns(config: TrainConfig, evaluation: dict[str, Any]) -> str:
    lines = [
        f"True returns of {evaluation['episodes']} whole episodes each, deterministic, on seeds that neither training "
        "nor selection saw. IQM: the mean of the middle half, with its bootstrap interval. Normalised: 0 for random "
        "actions and 1 for the expert. Displacement: net metres over the ground.",
        "",
        "| policy | return | IQM [95 %] | normalised | displacement (m) | steps |",
        "| :-- | --: | --: | --: | --: | --: |",
    ]
    lines += [
        f"| {label} | {' | '.join(cells(evaluation[name]))} |" for name, label in ROWS.items() if name in evaluation
    ]
    missing = [label for name, label in ROWS.items() if name not in evaluation]
    if missing:
        lines += ["", f"Not measured: {', '.join(missing)}."]
    return "\n".join(lines)


def _equality(format: Format, actor: Actor, measured: Measured) -> str:
    if actor.head == "argmax":
        found = f"{measured.difference:.1%} of the choices differ"
    else:
        found = f"the largest difference of an action is {measured.difference:.1e} of its range"
    text = f"- over {N_OBSERVATIONS:,} observations of the task, {found}"
    if measured.returns is not None:
        loss, error = measured.returns.loss
        text += (
            f"\n- over {len(measured.returns.original)} episodes from the same starts, the original returned "
            f"{measured.returns.original.mean():,.1f} and the file {measured.returns.exported.mean():,.1f}: "
            f"a loss of {loss:,.1f} ± {error:,.1f} (mean and standard error of the pairs)"
        )
    return text


def _origin(config: TrainConfig, evaluation: dict[str, Any], command: str) -> str:
    n_last = FINAL_SEED + evaluation["episodes"] - 1
    lines = [
        f"- training: `{evaluation.get('command', 'from a script')}`",
        f"- this file: `{command}`",
        f"- seed: {config.seed} of training, {config.demos_seed} of the demonstrations",
        f"- seeds of environments: the returns' {FINAL_SEED} to {n_last}, the looks' from {SELECTION_SEED}, "
        f"the run-off's from {RUN_OFF_SEED}, the comparison's above from {CHECK_SEED}",
        f"- steps: {evaluation['env_steps']:,} in {evaluation['wall_clock_s'] / 60:.1f} minutes"
        f" on {evaluation['threads']} threads, begun {evaluation.get('began', 'at a time not recorded')}",
        f"- cloned start: {'yes' if config.warm_start else 'no'}",
        f"- commit: {evaluation.get('commit') or 'not known'}",
        f"- versions: {', '.join(f'{name} {version}' for name, version in evaluation['versions'].items())}",
        f"- settings of the learner: `{asdict(config.ppo if config.algo == 'ppo' else config.off_policy)}`",
    ]
    return "\n".join(lines)
