"""Logarithms of densities, divergences between them, and averages in log space: pure functions, in nats.

What acts element by element broadcasts its arguments; the caller sums over the elements of an event.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def normal_log_prob(
    x: Float[Tensor, "*#S"], loc: Float[Tensor, "*#S"], log_scale: Float[Tensor, "*#S"]
) -> Float[Tensor, "*#S"]:
    """log N(x; loc, exp(log_scale)^2), element by element."""
    return standard_normal_log_prob((x - loc) * torch.exp(-log_scale)) - log_scale


def standard_normal_log_prob(x: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
    """log N(x; 0, 1), element by element."""
    return -0.5 * x.square() - 0.5 * math.log(2 * math.pi)


def normal_kl(
    loc_q: Float[Tensor, "*#S"],
    log_scale_q: Float[Tensor, "*#S"],
    loc_p: Float[Tensor, "*#S"],
    log_scale_p: Float[Tensor, "*#S"],
) -> Float[Tensor, "*#S"]:
    """KL(q || p) = log(s_p / s_q) + (s_q^2 + (m_q - m_p)^2) / (2 s_p^2) - 1/2, element by element; 0 where q = p."""
    inverse_scale_p = torch.exp(-log_scale_p)
    return standard_normal_kl((loc_q - loc_p) * inverse_scale_p, log_scale_q - log_scale_p)


def standard_normal_kl(loc: Float[Tensor, "*#S"], log_scale: Float[Tensor, "*#S"]) -> Float[Tensor, "*#S"]:
    """KL(N(loc, s^2) || N(0, 1)) = (loc^2 + s^2 - 1) / 2 - log s, s = exp(log_scale), element by element.

    Paper: Kingma & Welling 2014, https://arxiv.org/abs/1312.6114, appendix B.
    """
    return 0.5 * (loc.square() + torch.expm1(2 * log_scale)) - log_scale


def free_bits(kl: Float[Tensor, "B Z"], nats: float) -> Float[Tensor, "B"]:
    """The KL of each event, summed over groups, where a group whose batch mean is at most `nats` counts as `nats`.

    Its batch mean is sum_j max(nats, mean_b kl[b, j]): a group below the mark has no slope, so nothing pushes it to
    zero.  Paper: Kingma et al. 2016, https://arxiv.org/abs/1606.04934, "free bits".
    """
    return torch.where(kl.mean(0) > nats, kl, nats).sum(1)


def log_mean_exp(log_weight: Float[Tensor, "k *B"]) -> Float[Tensor, "*B"]:
    """log of the mean weight over the first axis."""
    return torch.logsumexp(log_weight, dim=0) - math.log(len(log_weight))


def log_odds(rate: Float[Tensor, "D"], n: int) -> Float[Tensor, "D"]:
    """log(rate / (1 - rate)) of rates counted from n events, each rate pulled to 1/2 by one event in all."""
    rate = (rate * n + 0.5) / (n + 1)
    return torch.logit(rate)
