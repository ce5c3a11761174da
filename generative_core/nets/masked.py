"""Masked multilayer perceptrons: output d sees only the inputs before d in an order."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn


class MaskedMLP(nn.Module):
    """x (B, D), context (B, K) -> (B, D, P): output order[t] depends on x[order[<t]] and on the context alone.

    Every unit has a degree: the number of elements, counted along the order, that it may see.  Input order[t] has
    degree t + 1, the context 0; a hidden unit sees the units before it of at most its own degree, an output order[t]
    those of degree at most t.  Only the degrees are stored; the masks follow from them.

    `order` (D,) lists the elements first to last; (M, D) makes M members that share their weights and differ in their
    masks, and `forward` takes the `member`.  Hidden degrees are spread evenly, or drawn at random for each member where
    `degree_seed` is given.  `residual` adds each hidden layer to the one before and needs equal widths.  `direct` adds
    a masked linear map from the inputs to the outputs.  Raises ValueError on an order that is no permutation.

    Paper: Germain et al. 2015, https://arxiv.org/abs/1502.03509, sec. 4.  Differs: hidden units of degree 0 exist
    where there is a context, so that the first element can depend on it through hidden units.
    """

    def __init__(
        self,
        n_in: int,
        n_out_per_dim: int,
        *,
        hidden: Sequence[int],
        context_features: int = 0,
        activation: Callable[[], nn.Module] = nn.ReLU,
        order: Int64[Tensor, "*M D"] | None = None,
        residual: bool = False,
        direct: bool = False,
        degree_seed: int | None = None,
    ) -> None:
        super().__init__()
        orders = torch.arange(n_in).unsqueeze(0) if order is None else order.reshape(-1, order.shape[-1])
        _check(n_in, hidden, orders, residual)
        self.n_in = n_in
        self.n_out_per_dim = n_out_per_dim
        self.context_features = context_features
        self.residual = residual
        self.activation = activation()

        widths = [n_in + context_features, *hidden, n_in * n_out_per_dim]
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in pairwise(widths)])
        self.direct = nn.Linear(widths[0], widths[-1], bias=False) if direct else None

        self.register_buffer("orders", orders)
        for layer, degrees in enumerate(_degrees(orders, hidden, context_features, residual, degree_seed)):
            self.register_buffer(f"degrees_{layer}", degrees)
        # what training multiplies by at each step; several members would take as many times the memory
        for i in range(len(self.layers) if self.n_members == 1 else 0):
            self.register_buffer(f"mask_{i}", self._mask_from_degrees(i, 0), persistent=False)
        self.register_load_state_dict_post_hook(_follow_loaded_degrees)

    @property
    def n_members(self) -> int:
        """M, the orders (and sets of masks) that share the weights."""
        return len(self.get_buffer("orders"))

    def forward(
        self, x: Float[Tensor, "B D"], context: Float[Tensor, "B K"] | None = None, *, member: int = 0
    ) -> Float[Tensor, "B D P"]:
        """Raises ValueError where x or context has another width than declared."""
        inputs = self.join(x, context)
        weights = [self.masked_weight(i, member) for i in range(len(self.layers))]
        h = self.hidden_from_first(F.linear(inputs, weights[0], self.layer(0).bias), weights)
        out = F.linear(self.activation(h), weights[-1], self.layer(-1).bias)
        if self.direct is not None:
            out = out + F.linear(inputs, self.masked_direct(member))
        return out.unflatten(1, (self.n_in, self.n_out_per_dim))  # (B, D*P) -> (B, D, P)

    def hidden_from_first(
        self, h: Float[Tensor, "B width"], masked_weights: list[Tensor]
    ) -> Float[Tensor, "B last_width"]:
        """The last hidden layer before its activation, from the first one."""
        for i in range(1, len(self.layers) - 1):
            update = F.linear(self.activation(h), masked_weights[i], self.layer(i).bias)
            h = h + update if self.residual else update
        return h

    def join(self, x: Float[Tensor, "B D"], context: Float[Tensor, "B K"] | None) -> Float[Tensor, "B D_plus_K"]:
        """[x, context], checked: what the first layer reads."""
        n_context = 0 if context is None else context.shape[1]
        if x.shape[1] != self.n_in or n_context != self.context_features:
            raise ValueError(
                f"this masked network was built for {self.n_in} inputs with {self.context_features} context features, "
                f"got {x.shape[1]} with {n_context}"
            )
        return x if context is None else torch.cat([x, context], dim=1)

    def layer(self, i: int) -> nn.Linear:
        """The linear map into hidden layer i + 1; the last one leads to the outputs."""
        layer = self.layers[i]
        assert isinstance(layer, nn.Linear)
        return layer

    def masked_weight(self, i: int, member: int) -> Float[Tensor, "n_out n_in"]:
        """The weights of `layer(i)` with the mask applied."""
        mask = self.get_buffer(f"mask_{i}") if self.n_members == 1 else self._mask_from_degrees(i, member)
        return self.layer(i).weight * mask

    def masked_direct(self, member: int) -> Float[Tensor, "n_out n_in"]:
        """Weights of the direct connections, with the mask applied."""
        assert self.direct is not None
        return self.direct.weight * self._output_mask(0, member)

    def _mask_from_degrees(self, i: int, member: int) -> Tensor:
        """1 where a weight of `layer(i)` stays and 0 where it is masked, (n_out, n_in)."""
        if i == len(self.layers) - 1:
            mask = self._output_mask(i, member)
        else:
            mask = self._degrees(i + 1, member).unsqueeze(1) >= self._degrees(i, member)
        return mask.to(self.layer(i).weight.dtype)  # a product with booleans would convert them each time

    def _degrees(self, layer: int, member: int) -> Tensor:
        return self.get_buffer(f"degrees_{layer}")[member]

    def _output_mask(self, layer: int, member: int) -> Tensor:
        degrees_out = self._degrees(0, member)[: self.n_in].repeat_interleave(self.n_out_per_dim)
        return degrees_out.unsqueeze(1) > self._degrees(layer, member)


def _follow_loaded_degrees(net: MaskedMLP, _: object) -> None:
    for i in range(len(net.layers) if net.n_members == 1 else 0):
        net.get_buffer(f"mask_{i}").copy_(net._mask_from_degrees(i, 0))


def _check(n_in: int, hidden: Sequence[int], orders: Tensor, residual: bool) -> None:
    if len(hidden) == 0:
        raise ValueError("a masked network needs at least one hidden layer, got hidden=()")
    if residual and len(set(hidden)) > 1:
        raise ValueError(f"residual layers need equal widths, got hidden={tuple(hidden)}; make them equal")
    if not torch.equal(orders.sort(dim=1).values, torch.arange(n_in, device=orders.device).expand(len(orders), -1)):
        raise ValueError(f"each order must list the elements 0 to {n_in - 1} once, got {orders.tolist()}")


def _degrees(
    orders: Tensor, hidden: Sequence[int], context_features: int, residual: bool, seed: int | None
) -> list[Tensor]:
    """Degrees of the inputs, (M, D + K), and of each hidden layer, (M, width)."""
    n_members, n_in = orders.shape
    inputs = torch.cat([orders.argsort(dim=1) + 1, orders.new_zeros(n_members, context_features)], dim=1)
    lowest = 0 if context_features or n_in == 1 else 1
    highest = max(n_in - 1, lowest)  # a unit that sees all D elements would be of use to no output
    degrees = [inputs]
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    for i, width in enumerate(hidden):
        if residual and i > 0:
            degrees.append(degrees[1].clone())  # the skip leads from unit k to unit k, which must not see less
        elif generator is None:
            spread = lowest + (2 * torch.arange(width) + 1) * (highest - lowest + 1) // (2 * width)
            degrees.append(spread.expand(n_members, -1).clone())
        else:
            rows = [
                torch.randint(lowest if i == 0 else int(before.min()), highest + 1, (width,), generator=generator)
                for before in (degrees[-1] if i else [inputs[0]] * n_members)
            ]
            degrees.append(torch.stack(rows))
    return degrees
