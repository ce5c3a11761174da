"""What chooses the actions of a trained policy, as plain arrays: all that an export has to carry."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor, nn

from gail_suite.learner import ImitationPolicy

Head = Literal["clip", "tanh", "argmax"]
ACTIVATIONS: dict[str, Callable[[NDArray], NDArray]] = {
    "ELU": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "ReLU": lambda x: np.maximum(x, 0),
}
"""By PyTorch's name; ONNX has the same ones."""


@dataclass(frozen=True)
class Actor:
    """A deterministic policy, O observations in and A actions out.

        h_0 = (observation - shift) * scale,    h_i = activation(W_i h_{i-1} + b_i),    action = head(W_n h_{n-1} + b_n)

    The normaliser computes in float64, the layers in float32.
    """

    shift: NDArray[np.float64]  # (O,)
    scale: NDArray[np.float64]  # (O,), 0 for an observation that never varied
    layers: tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]  # weight (out, in) and bias (out,)
    activation: str
    head: Head  # clip to [low, high]; tanh, stretched to them; or the index of the largest
    low: NDArray[np.float32]  # (A,); empty with argmax
    high: NDArray[np.float32]

    def predict(self, observation: Any, *, deterministic: bool = True) -> tuple[NDArray, None]:
        """(B, O) -> actions (B, A) float32, or (B,) int64 with argmax."""
        x = ((np.asarray(observation, np.float64) - self.shift) * self.scale).astype(np.float32)
        *hidden, (weight, bias) = self.layers
        for w, b in hidden:
            x = ACTIVATIONS[self.activation](x @ w.T + b)
        x = x @ weight.T + bias
        if self.head == "argmax":
            return x.argmax(axis=1), None
        if self.head == "clip":
            return np.clip(x, self.low, self.high), None
        return self.low + (self.high - self.low) * (np.tanh(x) + 1) / 2, None


def read_actor(policy: ImitationPolicy) -> Actor:
    """The arrays of a policy of ours, PPO's, SAC's or TD3's."""
    modules = _modules(policy)
    linear = [module for module in modules if isinstance(module, nn.Linear)]
    others = {type(module).__name__ for module in modules if not isinstance(module, nn.Linear | nn.Tanh)}
    assert others <= set(ACTIVATIONS), f"no export of {others} is known"
    scale, shift = (part.detach().cpu().numpy() for part in policy.normaliser.scale_and_shift())
    space = policy.action_space
    is_box = isinstance(space, spaces.Box)
    head: Head = "argmax" if not is_box else "clip" if hasattr(policy, "action_net") else "tanh"
    return Actor(
        shift=shift,
        scale=scale,
        layers=tuple((_array(layer.weight), _array(layer.bias)) for layer in linear),
        activation=others.pop() if others else "ReLU",  # one layer has none
        head=head,
        low=np.asarray(space.low if is_box else [], np.float32),
        high=np.asarray(space.high if is_box else [], np.float32),
    )


def _modules(policy: Any) -> list[nn.Module]:
    """The layers of the actor in their order, activations included."""
    if hasattr(policy, "action_net"):
        return [*policy.mlp_extractor.policy_net, policy.action_net]
    if isinstance(policy.actor.mu, nn.Sequential):  # TD3's, its tanh included
        return list(policy.actor.mu)
    return [*policy.actor.latent_pi, policy.actor.mu]


def _array(parameter: Tensor) -> NDArray[np.float32]:
    return parameter.detach().cpu().numpy().astype(np.float32)
