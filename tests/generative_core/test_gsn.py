"""The generative stochastic network: the stationary law of its chain."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.testing import assert_close

from generative_core import GSN
from generative_core.autoregressive.conditionals import Categorical, MixtureOfGaussians
from generative_core.markov_chain.gsn import AdditiveGaussian, RandomReplacement
from tests.generative_core.boltzmann_laws import frequencies, seeded, total_variation

P_DATA = torch.tensor([0.30, 0.02, 0.18, 0.05, 0.05, 0.25, 0.05, 0.10], dtype=torch.float64)
RATE = 0.4
CORRUPTION = (1 - RATE) * torch.eye(8, dtype=torch.float64) + RATE / 8  # C[x, corrupted]
POSTERIOR = (P_DATA.unsqueeze(1) * CORRUPTION / (P_DATA @ CORRUPTION)).T  # P[corrupted, x]
LAW = Categorical(8)


class Table(nn.Module):
    """One row of logits for each of the eight states."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, corrupted: Tensor) -> Tensor:
        return self.logits[LAW.index(corrupted).squeeze(1)].unsqueeze(1)  # (B, 1, 8)


def events(number: Tensor) -> Tensor:
    """State numbers as events (n, 1) on the eight levels of [-1, 1]."""
    return LAW.value(number, P_DATA).unsqueeze(1)


def gsn(logits: Tensor, n_walkback: int = 1) -> GSN:
    return GSN(
        (1,),
        conditional=LAW,
        corruption=RandomReplacement(RATE, levels=8),
        denoiser=Table(logits),
        n_walkback=n_walkback,
    )


def visited(model: GSN) -> Tensor:
    """Shares of the eight states among the ends of many chains."""
    return frequencies(LAW.index(model.sample(20_000, generator=seeded(), n_steps=40)).squeeze(1), 8)


def test_with_the_exact_denoiser_the_chain_has_the_datas_law():
    transition = CORRUPTION @ POSTERIOR
    assert_close(P_DATA @ transition, P_DATA)
    model = gsn(POSTERIOR.log())
    for number in range(8):
        after = LAW.index(model.transition(events(torch.full((20_000,), number)), generator=seeded(number))).squeeze(1)
        assert total_variation(frequencies(after, 8), transition[number]) < 0.015
    assert total_variation(visited(model), P_DATA) < 0.015


def test_a_denoiser_that_knows_nothing_of_the_corruption_is_noticed():
    """The chain really depends on the posterior: the marginal law of x sharpened is not stationary at the data."""
    assert total_variation(visited(gsn(3 * POSTERIOR.log())), P_DATA) > 0.1


@pytest.mark.parametrize("n_walkback", [1, 4])
def test_training_by_the_loss_makes_the_data_stationary(n_walkback):
    model = gsn(torch.zeros(8, 8, dtype=torch.float64), n_walkback)
    x = events(torch.arange(8).repeat_interleave((P_DATA * 2000).round().long()))
    g = seeded()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.2)
    for i in range(100):
        optimiser.param_groups[0]["lr"] = 0.2 * (1 - i / 100)
        optimiser.zero_grad()
        model.loss(x, generator=g).mean().backward()
        optimiser.step()
    assert total_variation(visited(model), P_DATA) < 0.05
    learned = model.denoiser.logits.detach().softmax(1)
    if n_walkback == 1:
        assert_close(learned, POSTERIOR, atol=0.06, rtol=0)
    else:  # it has seen worse corruptions and trusts its input less
        assert learned.diagonal().mean() < POSTERIOR.diagonal().mean() - 0.05


def test_the_loss_is_the_mean_over_the_walkback_of_minus_log_posterior():
    torch.manual_seed(0)
    model = GSN((1, 2, 3), hidden=(8,), n_walkback=3)
    x = torch.randint(2, (5, 1, 2, 3), generator=seeded()).float()
    g = seeded(1)
    reached, terms = x, []
    for _ in range(3):
        corrupted = model.corruption(reached, generator=g)
        terms.append(-model.log_posterior(x, corrupted))
        reached = model.conditional.sample(model.denoiser(corrupted), generator=g).view_as(x)
    assert_close(model.loss(x, generator=seeded(1)), torch.stack(terms).mean(0))
    by_hand = F.binary_cross_entropy_with_logits(
        model.denoiser(corrupted).squeeze(2), x.flatten(1), reduction="none"
    ).sum(1)
    assert_close(terms[-1], by_hand)


def test_replacement_keeps_each_element_with_its_probability():
    x = torch.full((20_000, 3), -1.0)
    corrupted = RandomReplacement(0.4, levels=5)(x, generator=seeded())
    shares = Categorical(5).index(corrupted).flatten().bincount(minlength=5) / 60_000
    assert_close(shares, torch.tensor([0.68, 0.08, 0.08, 0.08, 0.08]), atol=0.01, rtol=0)
    flips = RandomReplacement(0.4)(torch.zeros(20_000, 3), generator=seeded()).mean()
    assert_close(flips, torch.tensor(0.2), atol=0.01, rtol=0)


def test_on_real_events_the_chain_finds_the_datas_moments():
    """x ~ N(1, 2^2), corrupted by N(0, 1): the posterior is N(0.8 corrupted + 0.2, 0.8), which is linear."""

    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.log_std = nn.Parameter(torch.tensor(0.8).log() / 2)

        def forward(self, corrupted: Tensor) -> Tensor:
            zero = torch.zeros_like(corrupted)
            return torch.stack([zero, 0.8 * corrupted + 0.2, zero + self.log_std], dim=2)

    law = MixtureOfGaussians(1, min_scale=1e-4, max_scale=1e4)
    model = GSN((1,), conditional=law, corruption=AdditiveGaussian(1.0), denoiser=Linear())
    x = model.sample(20_000, generator=seeded(), n_steps=40)
    assert_close(x.mean(), torch.tensor(1.0), atol=0.06, rtol=0)
    assert_close(x.std(), torch.tensor(2.0), atol=0.06, rtol=0)


def test_the_chain_shows_every_step_and_ends_where_it_ends():
    torch.manual_seed(0)
    model = GSN((1, 2, 2), hidden=(8,))
    x = torch.zeros(3, 1, 2, 2)
    states = model.chain(x, 6, generator=seeded())
    assert states.shape == (6, 3, 1, 2, 2)
    g = seeded()
    for state in states:
        x = model.transition(x, generator=g)
        assert torch.equal(state, x)
    assert set(states.unique().tolist()) == {0.0, 1.0}


def test_draws_are_the_generators_and_nothing_elses():
    torch.manual_seed(0)
    model = GSN((1, 2, 2), hidden=(8,)).double()
    before = torch.get_rng_state()
    first, second = (model.sample(4, generator=seeded(), n_steps=3) for _ in range(2))
    assert first.dtype == torch.float64
    assert first.shape == (4, 1, 2, 2)
    assert torch.equal(first, second)
    assert torch.equal(model.loss(first, generator=seeded()), model.loss(first, generator=seeded()))
    assert torch.equal(torch.get_rng_state(), before)


def test_wrong_arguments_are_refused_with_what_was_given():
    with pytest.raises(ValueError, match="n_walkback must be at least 1, got 0"):
        GSN((2,), n_walkback=0)
    with pytest.raises(ValueError, match=r"rate must be in \(0, 1\], got 0\.0"):
        RandomReplacement(0.0)
    with pytest.raises(ValueError, match="levels must be at least 2, got 1"):
        RandomReplacement(0.5, levels=1)
    with pytest.raises(ValueError, match="std must be positive"):
        AdditiveGaussian(0.0)
    model = GSN((2,), hidden=(4,))
    with pytest.raises(ValueError, match="unconditional"):
        model.loss(torch.zeros(3, 2), torch.zeros(3, 1))
    with pytest.raises(ValueError, match="unconditional"):
        model.sample(3, torch.zeros(3, 1))
    with pytest.raises(ValueError, match=r"\(2,\), got 3 of \(4,\)"):
        model.loss(torch.zeros(3, 4))
