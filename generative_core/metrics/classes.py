"""What samples say of known classes or modes."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


def inception_score(logits: Float[Tensor, "n K"]) -> float:
    """exp E KL(p(y | x) || p(y)) of a classifier's logits on samples; from 1 to K, higher is better.

    High where each sample is of one class for sure and the classes come evenly.  It never looks at data: give the score
    of real events beside it.  With a judge in the place of Inception it is a number of its own.

    Paper: Salimans et al. 2016, https://arxiv.org/abs/1606.03498, sec. 4.
    """
    log_p = logits.detach().double().log_softmax(1)
    log_marginal = log_p.logsumexp(0) - math.log(len(log_p))
    return float((log_p.exp() * (log_p - log_marginal)).sum(1).mean().exp())


class ModeCoverage(NamedTuple):
    """The result of `mode_coverage`."""

    n_modes: int
    """Modes with a sample within the radius."""
    share_on_modes: float
    """Share of the samples within the radius of a mode, in [0, 1]."""


def mode_coverage(x: Float[Tensor, "n D"], centres: Float[Tensor, "K D"], *, radius: float) -> ModeCoverage:
    """Modes that samples reach and the share that is on one; `radius` is usually three standard deviations of a mode.

    Paper: Srivastava et al. 2017, https://arxiv.org/abs/1705.07761, sec. 4.1.
    """
    distance, nearest = torch.cdist(x, centres, compute_mode="donot_use_mm_for_euclid_dist").min(1)
    on_mode = distance <= radius
    return ModeCoverage(len(nearest[on_mode].unique()), float(on_mode.double().mean()))
