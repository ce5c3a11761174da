"""Diffusion on vectors: what its bound is exactly, and what the probability flow does."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from generative_core import Diffusion, MaximumLikelihoodStep


class BestForNormal(nn.Module):
    """v' = E[v | z_t] for independent x ~ N(mean, std^2)."""

    def __init__(self, mean: float, std: float, *, max_log_snr: float, min_log_snr: float) -> None:
        super().__init__()
        self.mean, self.std = mean, std
        self.max_log_snr, self.min_log_snr = max_log_snr, min_log_snr
        self.anything = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, z: Tensor, t: Tensor) -> Tensor:
        log_snr = (self.max_log_snr + (self.min_log_snr - self.max_log_snr) * t).unsqueeze(1)
        alpha, sigma = torch.sigmoid(log_snr).sqrt(), torch.sigmoid(-log_snr).sqrt()
        variance = alpha**2 * self.std**2 + sigma**2
        x = self.mean + alpha * self.std**2 / variance * (z - alpha * self.mean)
        noise = (z - alpha * x) / sigma
        return alpha * noise - sigma * x


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def best(mean: float = 1.5, std: float = 0.5, **settings) -> Diffusion:
    snr = {"max_log_snr": 10.0, "min_log_snr": -10.0}
    return Diffusion((2,), net=BestForNormal(mean, std, **snr), **snr, **settings).double()


def test_with_the_best_denoiser_the_bound_meets_the_entropy():
    mean, std = 1.5, 0.5
    x = mean + std * torch.randn(40_000, 2, generator=seeded(1), dtype=torch.float64)
    with torch.no_grad():
        bound = best(mean, std, n_times=25).elbo(x, generator=seeded()).mean().item()
    entropy = 2 * (0.5 * math.log(2 * math.pi * math.e) + math.log(std))
    assert bound == pytest.approx(-entropy, abs=0.02)


def test_a_wrong_denoiser_has_a_lower_bound():
    x = 1.5 + 0.5 * torch.randn(20_000, 2, generator=seeded(1), dtype=torch.float64)
    with torch.no_grad():
        right, wrong = (model.elbo(x, generator=seeded()).mean() for model in (best(1.5, 0.5), best(1.0, 0.7)))
    # the gap is KL(N(1.5, 0.5^2) || N(1, 0.7^2)) in each of two dimensions
    kl = 2 * (math.log(0.7 / 0.5) + (0.25 + 0.25) / (2 * 0.49) - 0.5)
    assert right - wrong == pytest.approx(kl, rel=0.1)


def test_a_network_that_says_nothing_is_a_standard_normal_law():
    model = Diffusion((3,), hidden=(8,)).double()
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    x = torch.randn(100_000, 3, generator=seeded(1), dtype=torch.float64)
    with torch.no_grad():
        bound = model.elbo(x, generator=seeded()).mean().item()
        assert_close(model.decode(x), x, rtol=0, atol=0.02)  # the solver's own error
    assert bound == pytest.approx(-3 * 0.5 * math.log(2 * math.pi * math.e), abs=0.05)


def test_the_flow_carries_noise_to_the_data_and_back():
    model = best(n_steps=400)
    with torch.no_grad():
        draws = model.sample(20_000, generator=seeded())
        back = model.decode(model.encode(draws[:50], generator=seeded()))
    assert_close(draws.mean(0), torch.full((2,), 1.5).double(), rtol=0, atol=0.02)
    assert_close(draws.std(0), torch.full((2,), 0.5).double(), rtol=0, atol=0.02)
    assert_close(back, draws[:50], rtol=0, atol=0.05)


def test_more_times_an_event_have_the_same_mean_and_less_noise():
    torch.manual_seed(0)
    one = Diffusion((2,), hidden=(8,)).double()
    many = Diffusion((2,), hidden=(8,), n_times=16).double()
    many.load_state_dict(one.state_dict())
    x = torch.full((20_000, 2), 0.7, dtype=torch.float64)
    with torch.no_grad():
        few, more = one.elbo(x, generator=seeded()), many.elbo(x, generator=seeded(1))
    assert few.mean().item() == pytest.approx(more.mean().item(), abs=4 * few.std().item() / math.sqrt(len(x)))
    assert more.std() < 0.4 * few.std()


def test_it_learns_two_clusters():
    torch.manual_seed(0)
    centres = torch.tensor([[-1.0, 0.5], [1.0, -0.5]])
    x = centres[torch.randint(2, (2000,), generator=seeded())] + 0.1 * torch.randn(2000, 2, generator=seeded(1))
    model = Diffusion((2,), hidden=(64, 64))
    step = MaximumLikelihoodStep(model, lr=3e-3)
    for i in range(2000):
        step(x[200 * (i % 10) : 200 * (i % 10 + 1)])
    model.eval()
    with torch.no_grad():
        draws = model.sample(1000, generator=seeded())
        bound = model.elbo(x, generator=seeded()).mean().item()
    distance = torch.cdist(draws, centres).min(1).values
    assert (distance < 0.4).float().mean() > 0.95
    assert 0.4 < (draws[:, 0] > 0).float().mean() < 0.6
    one_normal_law = -0.5 * math.log((2 * math.pi * math.e) ** 2 * torch.linalg.det(x.T.cov()).item())
    assert bound > one_normal_law + 1


@pytest.mark.parametrize("wrong", [{"max_log_snr": -9.0}, {"n_times": 0}, {"n_steps": 0}])
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Diffusion((2,), **wrong)


def test_draws_keep_no_graph_and_decoding_does():
    model = Diffusion((2,), hidden=(4,), n_steps=3)
    assert not model.sample(2).requires_grad
    assert model.decode(torch.zeros(2, 2)).requires_grad
