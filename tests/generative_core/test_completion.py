"""Completion draws what is unknown from its exact distribution given what is known."""

import pytest
import torch
from torch.testing import assert_close

from generative_core import FVSBN, MADE, NADE, MixtureOfGaussians, OrderAgnosticNADE, complete
from generative_core.autoregressive.protocols import continue_from
from tests.generative_core.autoregressive_laws import assert_draws_follow, binary_states, one_context, shaken

SHAPE, N = (2, 3), 20_000
MODELS = {
    "fvsbn": lambda: FVSBN(SHAPE),
    "nade": lambda: NADE(SHAPE, hidden=6, context_features=2),
    "made": lambda: MADE(SHAPE, hidden=(16,)),
    "made_in_random_order": lambda: MADE(SHAPE, hidden=(16,), random_order=True, seed=3, context_features=2),
    "one_of_several_masks": lambda: MADE(SHAPE, hidden=(16,), n_masks=2, random_order=True).member(1),
}


def given(log_prob: torch.Tensor, x: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """log p(state | known elements of x) for every state, from the joint."""
    states = binary_states(x.shape).flatten(1)
    agrees = (states == x.flatten())[:, known.flatten()].all(1)
    return torch.where(agrees, log_prob, -torch.inf).log_softmax(0)


def check(model, density, known: torch.Tensor) -> None:
    x = torch.tensor([[1.0, 0, 1], [0, 1, 1]]).double()
    n_states = 2 ** x.numel()
    with torch.no_grad():
        joint = density.log_prob(binary_states(SHAPE), one_context(model, n_states))
    draws = complete(
        model,
        torch.where(known, x, torch.nan).expand(N, *SHAPE),  # what is not known must not be read
        known,
        one_context(model, N),
        generator=torch.Generator().manual_seed(0),
    )
    assert_draws_follow(draws, given(joint, x, known))
    assert (draws == x)[:, known].all()


@pytest.mark.parametrize("n_known", [0, 2, 5])
@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())
def test_after_a_first_part_of_the_order_the_rest_is_drawn_from_its_conditional(make, n_known):
    model = shaken(make(), by=0.4)
    known = torch.zeros(6, dtype=torch.bool)
    known[model.order[:n_known]] = True
    check(model, model, known.view(SHAPE))


@pytest.mark.parametrize("known", [[0, 1, 0, 0, 1, 0], [1, 1, 0, 0, 0, 0], [0, 0, 0, 1, 1, 1]], ids=str)
def test_a_model_of_every_order_completes_any_mask(known):
    model = shaken(OrderAgnosticNADE(SHAPE, hidden=(8,), context_features=2, n_orders=2), by=0.4)
    known = torch.tensor(known).bool().view(SHAPE)
    order = torch.cat([known.flatten().nonzero(), (~known.flatten()).nonzero()]).squeeze(1)
    check(model, model.in_order(order), known)


def test_events_may_be_known_in_different_parts():
    model = shaken(NADE(SHAPE, hidden=6), by=0.4)
    x = (torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(0)) < 0.5).double()
    known = (torch.arange(6) < torch.tensor([[0], [2], [2], [6]])).view(4, *SHAPE)
    draws = complete(model, torch.where(known, x, 0.5), known, generator=torch.Generator().manual_seed(0))
    assert torch.equal(draws[known], x[known])
    assert ((draws == 0) | (draws == 1)).all()
    assert complete(model, x[:0], known[:0]).shape == (0, *SHAPE)


def test_all_known_is_left_alone_and_the_given_events_are_not_written_to():
    model = shaken(MADE((3,), hidden=(8,), conditional=MixtureOfGaussians(2)))
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)).double()
    before = x.clone()
    assert torch.equal(complete(model, x, torch.ones(3, dtype=torch.bool)), x)
    completed = complete(model, x, torch.tensor([True, False, False]))
    continue_from(model, x, 1)
    assert torch.equal(x, before)
    assert torch.equal(completed[:, 0], x[:, 0])
    assert (completed[:, 1:] != x[:, 1:]).all()


def test_sampling_is_continuing_from_nothing():
    model = shaken(FVSBN(SHAPE))
    draws = [
        model.sample(7, generator=torch.Generator().manual_seed(0)),
        continue_from(
            model, torch.full((7, *SHAPE), torch.nan).double(), 0, generator=torch.Generator().manual_seed(0)
        ),
    ]
    assert_close(*draws, rtol=0, atol=0)


def test_what_one_order_cannot_serve_is_refused():
    model = shaken(FVSBN((4,)))
    x = torch.zeros(2, 4).double()
    with pytest.raises(ValueError, match="OrderAgnosticNADE"):
        complete(model, x, torch.tensor([True, False, True, False]))
    with pytest.raises(ValueError, match="shape"):
        complete(model, x, torch.tensor([True, False]))
    with pytest.raises(ValueError, match="0 to 4"):
        continue_from(model, x, 5)
