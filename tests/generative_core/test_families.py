"""What the abstract classes derive from their one required method."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from generative_core import GAN, AbstractTractable, ScoreKind
from tests.generative_core.toys import ToyEnergy, ToyGaussian, ToyVariational

X = torch.randn(7, 2, generator=torch.Generator().manual_seed(0))


def test_tractable_score_is_log_prob_and_loss_its_negative():
    model = ToyGaussian([0.5, -1.0], scale=2.0)
    assert_close(model.score(X), model.log_prob(X))
    assert_close(model.loss(X), -model.log_prob(X))
    assert model.score_kind is ScoreKind.LOG_PROB


def test_the_context_reaches_the_density():
    model = ToyGaussian([0.5, -1.0])
    context = torch.full((7, 2), 3.0)
    assert_close(model.score(X + context, context), model.score(X))
    assert_close(model.loss(X + context, context), model.loss(X))


def test_variational_score_is_the_bound_with_the_given_noise():
    model = ToyVariational()
    score = model.score(X, generator=torch.Generator().manual_seed(3))
    assert_close(score, model.elbo(X, generator=torch.Generator().manual_seed(3)))
    assert_close(model.loss(X, generator=torch.Generator().manual_seed(3)), -score)
    assert not torch.equal(score, model.score(X, generator=torch.Generator().manual_seed(4)))
    assert model.score_kind is ScoreKind.LOG_BOUND


def test_energy_score_is_minus_the_energy():
    model = ToyEnergy()
    assert_close(model.score(X), -model.energy(X))
    assert model.score(torch.zeros(1, 2)) > model.score(torch.ones(1, 2))
    assert model.score_kind is ScoreKind.UNNORMALISED


def test_a_generator_asked_for_a_density_says_why_not():
    with pytest.raises(TypeError, match="implicit"):
        GAN((2,)).generator.log_prob(X)


def test_a_family_without_its_required_method_cannot_be_built():
    class Incomplete(AbstractTractable):
        def sample(self, n, context=None, *, generator=None):
            return torch.zeros(n, 2)

    with pytest.raises(TypeError, match="log_prob"):
        Incomplete()


def test_latents_are_standard_normal_on_the_models_dtype():
    generator = GAN((2,), latent=3).generator.double()
    z = generator.sample_latent(20_000, generator=torch.Generator().manual_seed(0))
    assert z.dtype == torch.float64
    assert_close(z.mean(0), torch.zeros(3).double(), atol=0.03, rtol=0)
    assert_close(z.T.cov(), torch.eye(3).double(), atol=0.05, rtol=0)
    assert isinstance(generator, nn.Module)
