"""Priors on a mixture's weights, and what the bound needs of their posteriors."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class WeightPosterior(NamedTuple):
    """q(w) after the components were given `counts` events."""

    expected: Float[Tensor, "K"]
    """E w, sums to one."""
    expected_log: Float[Tensor, "K"]
    """E log w."""
    log_evidence: Float[Tensor, ""]
    """log E_prior exp(sum_k counts_k log w_k): the ratio of the two normalisers."""


def dirichlet(counts: Float[Tensor, "K"], concentration: float) -> WeightPosterior:
    """w ~ Dirichlet(a, ..., a), a = `concentration`."""
    prior = torch.full_like(counts, concentration)
    a = prior + counts
    return WeightPosterior(
        a / a.sum(), a.digamma() - a.sum().digamma(), _log_dirichlet_normaliser(a) - _log_dirichlet_normaliser(prior)
    )


def stick_breaking(counts: Float[Tensor, "K"], concentration: float) -> WeightPosterior:
    """w_k = s_k prod_{j<k} (1 - s_j), s_k ~ Beta(1, a), and s_K = 1: a Dirichlet process cut off after K."""
    later = counts.flip(0).cumsum(0).flip(0) - counts  # events of the components after k
    a, b = (1 + counts)[:-1], (concentration + later)[:-1]
    one, none = torch.ones_like(counts[:1]), torch.zeros_like(counts[:1])
    share = torch.cat([a / (a + b), one])
    rest = torch.cat([one, (b / (a + b)).cumprod(0)])
    total = (a + b).digamma()
    log_share = torch.cat([a.digamma() - total, none])
    log_rest = torch.cat([none, (b.digamma() - total).cumsum(0)])
    both, prior = torch.stack([a, b], 1), torch.stack([torch.ones_like(a), torch.full_like(b, concentration)], 1)
    log_evidence = (_log_dirichlet_normaliser(both) - _log_dirichlet_normaliser(prior)).sum()
    return WeightPosterior(share * rest, log_share + log_rest, log_evidence)


def _log_dirichlet_normaliser(a: Tensor) -> Tensor:
    return a.lgamma().sum(-1) - a.sum(-1).lgamma()
