"""Who sees which loss, what the critic's features ask for, and that both sides learn."""

import copy

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from generative_core import VAEGAN, AdversarialStep, fit

IMAGE = (1, 8, 8)


def model(gamma: float = 0.1) -> VAEGAN:
    torch.manual_seed(0)
    return VAEGAN(IMAGE, gamma=gamma, latent=3, channels=(8, 4))


def squares(n: int, seed: int = 0) -> Tensor:
    """A bright square at one of four places."""
    place = torch.randint(4, (n,), generator=torch.Generator().manual_seed(seed))
    x = torch.full((n, *IMAGE), -1.0)
    for i, k in enumerate(place.tolist()):
        x[i, 0, 4 * (k // 2) : 4 * (k // 2) + 4, 4 * (k % 2) : 4 * (k % 2) + 4] = 1.0
    return x


def gradients(net: VAEGAN, term: str, part: str) -> list[Tensor]:
    x = squares(16)
    drawn = net.draw(x, generator=torch.Generator().manual_seed(1))
    loss = net.generator_terms(drawn, x)[term]
    parameters = list(getattr(net.generator, part).parameters())
    grads = torch.autograd.grad(loss, parameters, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, grads, strict=True)]


def test_gamma_weighs_the_reconstruction_for_the_decoder_and_not_for_the_encoder():
    light, heavy = model(0.1), model(0.4)
    for a, b in zip(*(gradients(net, "reconstruction", "decoder") for net in (light, heavy)), strict=True):
        assert_close(4 * a, b, rtol=1e-3, atol=1e-4)
    encoders = [gradients(net, "reconstruction", "encoder") for net in (light, heavy)]
    assert max(g.abs().max() for g in encoders[0]) > 1e-3
    for a, b in zip(*encoders, strict=True):
        assert_close(a, b, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("term", "blind"), [("adversarial", "encoder"), ("prior", "decoder")])
def test_each_part_is_blind_to_the_others_loss(term, blind):
    net = model()
    assert all(not g.any() for g in gradients(net, term, blind))
    other = {"encoder": "decoder", "decoder": "encoder"}[blind]
    assert any(g.any() for g in gradients(net, term, other))


def test_the_prior_term_is_the_closed_form():
    net = model()
    x = squares(16)
    q = net.posterior(x)
    kl = torch.distributions.kl_divergence(
        torch.distributions.Normal(q.loc, q.log_scale.exp()), torch.distributions.Normal(0.0, 1.0)
    )
    assert_close(net.generator_terms(net.draw(x), x)["prior"], kl.sum(1).mean())


def test_the_reconstruction_is_measured_in_the_critics_eyes():
    """A critic whose last maps are zero sees no difference; the pixels still differ."""
    net = model()
    x = squares(16)
    with torch.no_grad():
        assert net.generator_terms(net.draw(x), x)["reconstruction"] > 1e-3
        norm = net.critic.encoder.convolutions[-2]
        norm.weight.zero_()
        assert net.generator_terms(net.draw(x), x)["reconstruction"] == 0


def test_it_learns_to_reconstruct_and_resumes_exactly():
    net = model(0.05)
    step = AdversarialStep(net, lr=1e-2, seed=1)
    x = squares(64)
    net.eval()
    before = (net.reconstruct(x) - x).square().mean()
    fit(step, iter(lambda: (x,), None), 190)
    twin = AdversarialStep(copy.deepcopy(net), seed=5)
    twin.load_state_dict(copy.deepcopy(step.state_dict()))
    assert step(x) == twin(x)
    net.eval()
    assert (net.reconstruct(x) - x).square().mean() < 0.3 * before


def test_samples_and_refusals():
    net = model().eval()
    draws = [net.sample(3, generator=torch.Generator().manual_seed(s)) for s in (0, 0, 1)]
    assert draws[0].shape == (3, *IMAGE)
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    with pytest.raises(ValueError, match="context"):
        net.sample(2, torch.zeros(2, 3))
    with pytest.raises(ValueError, match="gamma"):
        VAEGAN(IMAGE, gamma=0.0)
