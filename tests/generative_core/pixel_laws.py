"""What the tests of the image models share: fields of view by gradients, and sums over all images."""

import itertools

import torch
from torch import Tensor
from torch.testing import assert_close

from generative_core import AbstractTractable


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def all_images(event_shape: tuple[int, ...], values: tuple[float, ...] = (0.0, 1.0)) -> Tensor:
    """Every image of these values, float64: (len(values)^D, *event_shape)."""
    n_dims = torch.Size(event_shape).numel()
    return torch.tensor(list(itertools.product(values, repeat=n_dims)), dtype=torch.float64).view(-1, *event_shape)


def assert_sums_to_one(model: AbstractTractable, images: Tensor, context: Tensor | None = None) -> None:
    total = model.log_prob(images, None if context is None else context.expand(len(images), -1)).exp().sum()
    assert_close(total, torch.ones((), dtype=torch.float64), rtol=1e-9, atol=0)


def field_of_view(model: AbstractTractable, element: int, n: int = 8) -> Tensor:
    """The inputs that the parameters of one element (by flat index) depend on: bool, of the event's shape.

    Gradients of random sums of the parameters at n random images, so that a dead unit at one of them hides nothing.
    """
    x = torch.randn(n, *model.event_shape, dtype=torch.float64, generator=seeded(1)).requires_grad_(True)
    context = torch.randn(n, model.context_features, dtype=torch.float64, generator=seeded(2))
    parameters = model.element_parameters(x, context if model.context_features else None)  # (n, C, H, W, P)
    of_element = parameters.flatten(1, 3)[:, element]
    weights = torch.randn(of_element.shape, dtype=torch.float64, generator=seeded(3))
    if not of_element.requires_grad:
        return torch.zeros(model.event_shape, dtype=torch.bool)
    (grad,) = torch.autograd.grad((of_element * weights).sum(), x)
    return grad.abs().sum(0) > 0


def dependencies(model: AbstractTractable) -> Tensor:
    """(D, D) bool: whether the law of the element drawn t-th depends on the one drawn s-th, t down and s across."""
    order = model.order
    return torch.stack([field_of_view(model, int(d)).flatten()[order] for d in order])


def assert_raster_causal(model: AbstractTractable) -> None:
    """No law sees its own element or a later one, and each but the first sees something."""
    seen = dependencies(model)
    assert not seen.triu().any()
    assert seen[1:].any(dim=1).all()


def assert_sees_entire_past(model: AbstractTractable) -> None:
    seen = dependencies(model)
    assert torch.equal(seen, torch.ones_like(seen).tril(-1))


def assert_draws_follow(model: AbstractTractable, context: Tensor | None = None, n: int = 10_000) -> None:
    """Frequencies of binary draws against all probabilities: chi-squared within five sigmas of its mean."""
    images = all_images(model.event_shape)
    p = model.log_prob(images, None if context is None else context.expand(len(images), -1)).exp()
    draws = model.sample(n, None if context is None else context.expand(n, -1), generator=seeded())
    powers = 2 ** torch.arange(images[0].numel() - 1, -1, -1)
    count = (draws.flatten(1).long() @ powers).bincount(minlength=len(p))
    chi_squared = ((count - n * p).square() / (n * p)).sum()
    dof = len(p) - 1
    assert abs(chi_squared - dof) < 5 * (2 * dof) ** 0.5
    assert p.max() > 2 * p.min()


def enlarge_weights(model: AbstractTractable, factor: float = 3.0) -> AbstractTractable:
    """The model in float64 with larger weights: the laws of a fresh one are too nearly uniform to test against."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(factor)
    return model.double().eval()
