"""Densities as critics."""

import pytest
import torch
from torch.testing import assert_close

from generative_core import LogitFromScore, MLPCritic, ScoreDifference, ScoreKind
from tests.generative_core.toys import ToyEnergy, ToyGaussian, ToyVariational

X = torch.randn(7, 2, generator=torch.Generator().manual_seed(0))


def test_logit_from_score_is_affine_in_the_score():
    critic = LogitFromScore(ToyEnergy(), scale=3.0, offset=-2.0)
    assert_close(critic.logit(X), 3.0 * ToyEnergy().score(X) - 2.0)
    assert critic.score_kind is ScoreKind.LOG_RATIO
    assert critic.event_shape == (2,)


def test_logit_from_score_trains_its_scorer_too():
    names = {name for name, _ in LogitFromScore(ToyGaussian([0.0, 0.0])).named_parameters()}
    assert names == {"log_scale", "offset", "scorer.loc", "scorer.log_scale"}


def test_logit_from_score_refuses_a_scale_that_turns_the_sign():
    with pytest.raises(ValueError, match="positive"):
        LogitFromScore(ToyEnergy(), scale=-1.0)


def test_score_difference_of_two_gaussians_is_their_log_ratio():
    """log N(x; m, I) - log N(x; -m, I) = 2 m . x."""
    critic = ScoreDifference(data=ToyGaussian([1.0, 0.5]), model=ToyGaussian([-1.0, -0.5]))
    assert_close(critic.score(X), 2 * X @ torch.tensor([1.0, 0.5]))
    assert critic.score_kind is ScoreKind.LOG_RATIO


def test_score_difference_passes_the_context_to_both_sides():
    critic = ScoreDifference(data=ToyGaussian([1.0, 0.5]), model=ToyGaussian([-1.0, -0.5]))
    context = torch.full((7, 2), 10.0)
    assert_close(critic.score(X + context, context), critic.score(X), atol=1e-4, rtol=0)


@pytest.mark.parametrize("inexact", [ToyEnergy, ToyVariational, lambda: MLPCritic((2,))])
@pytest.mark.parametrize("side", ["data", "model"])
def test_score_difference_refuses_inexact_scores_and_names_the_remedy(inexact, side):
    sides = {"data": ToyGaussian([0.0, 0.0]), "model": ToyGaussian([0.0, 0.0]), side: inexact()}
    with pytest.raises(ValueError, match=rf"the {side} side.*LogitFromScore"):
        ScoreDifference(**sides)


def test_score_difference_refuses_unlike_events():
    with pytest.raises(ValueError, match="different events"):
        ScoreDifference(ToyGaussian([0.0]), ToyGaussian([0.0, 0.0]))
