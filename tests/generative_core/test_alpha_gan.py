"""Which critic moves whom, and that codes come to follow the prior."""

import copy

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from generative_core import AdversarialStep, AlphaGAN, MLPCritic, fit
from generative_core.adversarial.gan import MLPGenerator
from generative_core.nets.mlp import MLP


def model(latent: int = 2, reconstruction: float = 10.0) -> AlphaGAN:
    torch.manual_seed(0)
    return AlphaGAN(
        (2,),
        latent=latent,
        reconstruction=reconstruction,
        code_hidden=(32,),
        encoder=MLP(2, latent, hidden=(32,)),
        decoder=MLPGenerator((2,), latent=latent, hidden=(32,)),
        critic=MLPCritic((2,), hidden=(32,), normalise=False),
    )


def skewed(n: int, generator: torch.Generator | None = None) -> Tensor:
    """N(m, diag(0.2, 0.5)^2), far from the prior."""
    noise = torch.randn(n, 2, generator=generator or torch.Generator().manual_seed(0))
    return torch.tensor([3.0, -2.0]) + noise * torch.tensor([0.2, 0.5])


@pytest.mark.parametrize(("term", "encoder_moves", "decoder_moves"), [
    ("reconstruction", True, True),
    ("image", False, True),
    ("code", True, False),
])  # fmt: skip
def test_who_sees_which_term(term, encoder_moves, decoder_moves):
    net, x = model(), skewed(32)
    loss = net.generator_terms(net.draw(x, generator=torch.Generator().manual_seed(0)), x)[term]
    for part, moves in ((net.generator.encoder, encoder_moves), (net.generator.decoder, decoder_moves)):
        grads = torch.autograd.grad(loss, list(part.parameters()), retain_graph=True, allow_unused=True)
        assert any(g is not None and bool(g.any()) for g in grads) == moves


def test_the_code_term_is_the_density_ratio_of_the_probabilities():
    net, x = model(), skewed(32)
    drawn = net.draw(x, generator=torch.Generator().manual_seed(0))
    probability = net.critic.code.logit(net.encode(x)).sigmoid()
    expected = ((1 - probability).log() - probability.log()).mean()
    assert_close(net.generator_terms(drawn, x)["code"], expected, rtol=1e-4, atol=1e-5)


def test_a_trained_code_critic_points_codes_to_the_prior():
    """Codes far to one side of N(0, I): going down their term takes them back to the origin."""
    net = model()
    with torch.no_grad():
        net.generator.encoder.layers[-1].bias.copy_(torch.tensor([3.0, 0.0]))
    x = skewed(64)
    fit(AdversarialStep(net, lr_critic=5e-3, generator_steps=0), iter(lambda: (x,), None), 80)
    code = net.encode(x).detach().requires_grad_()
    drawn = net.draw(x)._replace(code=code)
    (gradient,) = torch.autograd.grad(net.generator_terms(drawn, x)["code"], code)
    assert (gradient[:, 0] > 0).all()


def test_it_learns_to_reconstruct():
    net = model()
    generator = torch.Generator().manual_seed(3)
    step = AdversarialStep(net, lr=2e-3)
    fit(step, iter(lambda: (skewed(128, generator),), None), 200)
    x = skewed(2000)
    with torch.no_grad():
        assert (net.reconstruct(x) - x).abs().mean() < 0.2


def test_an_exact_resume():
    net, x = model(), skewed(32)
    step = AdversarialStep(net, seed=1)
    step(x)
    other = AdversarialStep(copy.deepcopy(net), seed=9)
    other.load_state_dict(copy.deepcopy(step.state_dict()))
    assert step(x) == other(x)
    assert {"critic/image", "critic/code"} <= set(step(x))


def test_images_by_default_and_codes_of_one_width():
    net = AlphaGAN((1, 8, 8), latent=3, channels=(8, 4)).eval()
    x = net.sample(2, generator=torch.Generator().manual_seed(0))
    assert x.shape == net.reconstruct(x).shape == (2, 1, 8, 8)
    assert net.encode(x).shape == (2, 3)
    with pytest.raises(ValueError, match="pass that as latent"):
        AlphaGAN((2,), latent=4, decoder=MLPGenerator((2,), latent=2))
