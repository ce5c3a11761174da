"""The neural autoregressive distribution estimator: one hidden layer, shared along the order."""

import math
from collections.abc import Sequence
from typing import Any, final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from generative_core.autoregressive.conditionals import Bernoulli, Conditional
from generative_core.autoregressive.protocols import Walk, continue_from
from generative_core.autoregressive.vectors import check_context, empty_events, flatten_events
from generative_core.families import AbstractTractable

HELD_ON_CPU, HELD_ELSEWHERE = 2**19, 2**26
"""Activations computed at a time: 2 MB in float32 stay in a core's own cache; other devices want large pieces."""


@final
class NADE(AbstractTractable):
    """h_d = sigmoid(a + W_<d x_<d + U c),  p(x_d | x_<d, c) = conditional(b_d + V_d h_d), in the flattened order.

    The hidden activations follow from one another by one column of W, so that a pass costs O(D hidden) an event, in
    `log_prob` and in `sample`.  Gradients are first-order only: activations are not kept but computed again.  With the
    default x is binary; with `MixtureOfGaussians` this is the real-valued model.

    Raises ValueError on another event or context shape than declared.  Papers: Larochelle & Murray 2011,
    http://proceedings.mlr.press/v15/larochelle11a; Uria et al. 2016, https://arxiv.org/abs/1605.02226; real values:
    Uria et al. 2013, https://arxiv.org/abs/1306.0186.  Differs from the last: sigmoid units, and no rescaling of them.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        hidden: int = 500,
        conditional: Conditional = Bernoulli(),  # noqa: B008  frozen, so one instance serves all
        context_features: int = 0,
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.context_features = context_features
        self.conditional = conditional
        n_dims = math.prod(self.event_shape)
        width = 1 / math.sqrt(n_dims)
        self.weight = nn.Parameter(torch.empty(n_dims, hidden).uniform_(-width, width))  # W, a row a dimension
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))  # a
        width = 1 / math.sqrt(hidden)
        self.readout = nn.Parameter(torch.empty(n_dims, conditional.n_parameters, hidden).uniform_(-width, width))  # V
        self.bias = nn.Parameter(torch.empty(n_dims, conditional.n_parameters).uniform_(-width, width))  # b
        self.context_net = nn.Linear(context_features, hidden, bias=False) if context_features else None  # U

    @property
    def order(self) -> Int64[Tensor, "D"]:
        """The flattened order."""
        return torch.arange(len(self.bias))

    def log_prob(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B"]:
        """log p(x | context), nats."""
        flat = flatten_events(self, x, context)
        start = self._start(len(x), context).to(self.weight.dtype)
        n_rows = max(_held(start) // (8 * start.shape[1]), 1)  # at least eight steps of the order fit in a piece
        pieces = zip(flat.split(n_rows), start.split(n_rows), strict=True)
        return torch.cat([self._log_prob_of_piece(*piece) for piece in pieces])

    def sample(
        self, n: int, context: Float[Tensor, "n K"] | None = None, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """n draws, element after element: O(D hidden) each."""
        return continue_from(self, empty_events(self, n, self.bias), 0, context, generator=generator)

    def walk(self, n: int, context: Float[Tensor, "n K"] | None = None) -> Walk:
        """See `Autoregressive.walk`."""
        check_context(self, n, context)
        a = self._start(n, context)
        for d in range(len(self.bias)):
            value = yield F.linear(a.sigmoid(), self.readout[d], self.bias[d])
            a = torch.addcmul(a, value.unsqueeze(1), self.weight[d])

    def _log_prob_of_piece(self, flat: Tensor, start: Tensor) -> Float[Tensor, "b"]:
        x = flat.T.contiguous()  # (b, D) -> (D, b): a step of the order is one block of memory
        parameters = _Readouts.apply(x, start, self.weight, self.readout) + self.bias.unsqueeze(1)  # (D, b, P)
        return self.conditional.log_prob(parameters, x).sum(0)

    def _start(self, n: int, context: Tensor | None) -> Float[Tensor, "n H"]:
        """What the hidden layer sees before the first element."""
        start = self.hidden_bias.expand(n, -1)
        return start if context is None or self.context_net is None else start + self.context_net(context)


class _Readouts(torch.autograd.Function):
    """V_d sigmoid(start + sum_{e < d} x_e W_e) for all d, in chunks of d whose activations are never all in memory.

    x (D, B), start (B, H), W (D, H), V (D, P, H) -> (D, B, P).  Forward keeps the pre-activations at the start of each
    chunk only; backward walks the chunks from the last to the first, computes them again, and carries the gradient of
    the pre-activation, which sums over all later d.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, start: Tensor, weight: Tensor, readout: Tensor) -> Tensor:
        chunks, space = _chunks(len(x), start)
        out = start.new_empty(len(x), len(start), readout.shape[1])
        starts = []
        a = start
        with torch.autocast(x.device.type, enabled=False):
            for chunk in chunks:
                starts.append(a)
                h, a = _activations(a, x[chunk], weight[chunk], space)
                torch.bmm(h, readout[chunk].transpose(1, 2), out=out[chunk])
        ctx.save_for_backward(x, weight, readout, *starts)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, Tensor, Tensor, Tensor]:
        x, weight, readout, *starts = ctx.saved_tensors
        chunks, space = _chunks(len(x), starts[0])
        grad_space = torch.empty_like(space)
        grad_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        grad_weight, grad_readout = torch.empty_like(weight), torch.empty_like(readout)
        grad_a = torch.zeros_like(starts[0])  # d loss / d pre-activation, summed over the d beyond this chunk
        with torch.autocast(x.device.type, enabled=False):
            for chunk, a in zip(reversed(chunks), reversed(starts), strict=True):
                h, _ = _activations(a, x[chunk], weight[chunk], space)
                torch.bmm(grad_out[chunk].transpose(1, 2), h, out=grad_readout[chunk])
                grad_pre = grad_space[: len(h) + 1]
                grad_pre[-1] = grad_a
                torch.bmm(grad_out[chunk], readout[chunk], out=grad_pre[:-1])
                grad_pre[:-1].mul_(h.addcmul_(h, h, value=-1))  # times h (1 - h), in h's own memory
                for k in range(len(h) - 1, -1, -1):
                    grad_pre[k].add_(grad_pre[k + 1])
                torch.bmm(x[chunk].unsqueeze(1), grad_pre[1:], out=grad_weight[chunk].unsqueeze(1))
                if grad_x is not None:
                    torch.bmm(grad_pre[1:], weight[chunk].unsqueeze(2), out=grad_x[chunk].unsqueeze(2))
                grad_a = grad_pre[0].clone()
        return grad_x, grad_a, grad_weight, grad_readout


def _held(like: Tensor) -> int:
    return HELD_ON_CPU if like.device.type == "cpu" else HELD_ELSEWHERE


def _chunks(n_dims: int, start: Tensor) -> tuple[list[slice], Tensor]:
    """Ranges of d, and memory (longest range + 1, B, H) that serves one after the other."""
    size = min(max(_held(start) // max(start.numel(), 1), 1), n_dims)
    chunks = [slice(low, min(low + size, n_dims)) for low in range(0, n_dims, size)]
    return chunks, start.new_empty(size + 1, *start.shape)


def _activations(start: Tensor, x: Tensor, weight: Tensor, space: Tensor) -> tuple[Tensor, Tensor]:
    """sigmoid(start + sum_{e < k} x_e W_e) for the k = 0 .. C - 1 of a chunk, (C, B, H), and the next chunk's start."""
    pre = space[: len(x) + 1]
    pre[0] = start
    for k in range(len(x)):
        torch.addcmul(pre[k], x[k].unsqueeze(1), weight[k], out=pre[k + 1])
    return pre[:-1].sigmoid_(), pre[-1].clone()
