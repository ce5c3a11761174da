"""One step of a long short-term memory, for the recurrent models of images."""

from torch import Tensor


def lstm_step(gates: Tensor, c: Tensor, *, dim: int) -> tuple[Tensor, Tensor]:
    """(h, c) after one step: c = sigmoid(f) c + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c), with gates = [o, f, i, g].

    The gates are four equal parts of `gates` along `dim`.  Paper: Hochreiter & Schmidhuber 1997, with forget gates.
    """
    width = c.shape[dim]
    open_, g = gates.split([3 * width, width], dim=dim)
    o, f, i = open_.sigmoid().chunk(3, dim=dim)
    c = f * c + i * g.tanh()
    return o * c.tanh(), c
