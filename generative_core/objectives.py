"""Loss functions of two-player games, as pure functions of logits.

Sign everywhere: logit > 0 looks like the data; D = sigmoid(logit) is the probability of *data*.  Every loss is a scalar
to be minimised: a critic's by the critic, a generator's by the generator.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

CriticLoss = Callable[[Tensor, Tensor], Tensor]
"""(logit_data (B,), logit_model (M,)) -> scalar."""

GeneratorLoss = Callable[[Tensor], Tensor]
"""logit_model (M,) -> scalar."""


def bce_critic_loss(logit_data: Float[Tensor, "B"], logit_model: Float[Tensor, "M"]) -> Float[Tensor, ""]:
    """-E_data log D - E_model log(1 - D), nats; log 4 where the critic cannot tell.

    Paper: Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661, eq. 1 with its sign turned.  Its minimiser is
    logit* = log p_data - log p_model.
    """
    return F.softplus(-logit_data).mean() + F.softplus(logit_model).mean()


def smoothed_critic_loss(
    logit_data: Float[Tensor, "B"], logit_model: Float[Tensor, "M"], *, label_data: float
) -> Float[Tensor, ""]:
    """`bce_critic_loss` with the data's label 1 lowered to `label_data`: -E_data [a log D + (1 - a) log(1 - D)] - ...

    One-sided: the model's label stays 0, so D* = a p_data / (p_data + p_model) falls where there are no data.

    Paper: Salimans et al. 2016, https://arxiv.org/abs/1606.03498, sec. 3.4.
    """
    return bce_critic_loss(logit_data, logit_model) + (1 - label_data) * logit_data.mean()


def feature_matching_loss(
    features_data: Float[Tensor, "B F"], features_model: Float[Tensor, "M F"]
) -> Float[Tensor, ""]:
    """||E_data f - E_model f||^2 of a critic's features f; the data's side is a target and gets no gradient.

    Paper: Salimans et al. 2016, https://arxiv.org/abs/1606.03498, sec. 3.1.
    """
    return (features_data.detach().mean(0) - features_model.mean(0)).square().sum()


def bce_mixup_loss(logit: Float[Tensor, "B"], share_of_data: Float[Tensor, "B"]) -> Float[Tensor, ""]:
    """-2 E[a log D + (1 - a) log(1 - D)] at mixes of a parts data and 1 - a parts model, so between the sides.

    At a = 1 and a = 0 in turn it is `bce_critic_loss`.  Paper: Zhang et al. 2018, https://arxiv.org/abs/1710.09412.
    """
    return 2 * (F.softplus(logit) - share_of_data * logit).mean()


def bce_generator_loss(logit_model: Float[Tensor, "M"]) -> Float[Tensor, ""]:
    """-E_model log D, non-saturating: its gradient stays where the critic is sure (Goodfellow et al. 2014, sec. 3)."""
    return F.softplus(-logit_model).mean()


def bce_generator_loss_saturating(logit_model: Float[Tensor, "M"]) -> Float[Tensor, ""]:
    """E_model log(1 - D) <= 0, minimax (Goodfellow et al. 2014, eq. 1): no gradient where the critic is sure."""
    return -F.softplus(logit_model).mean()


def hinge_critic_loss(logit_data: Float[Tensor, "B"], logit_model: Float[Tensor, "M"]) -> Float[Tensor, ""]:
    """E_data max(0, 1 - l) + E_model max(0, 1 + l).  Paper: Lim & Ye 2017, https://arxiv.org/abs/1705.02894."""
    return F.relu(1 - logit_data).mean() + F.relu(1 + logit_model).mean()


def hinge_generator_loss(logit_model: Float[Tensor, "M"]) -> Float[Tensor, ""]:
    """-E_model l."""
    return -logit_model.mean()


def least_squares_critic_loss(logit_data: Float[Tensor, "B"], logit_model: Float[Tensor, "M"]) -> Float[Tensor, ""]:
    """1/2 E_data (l - 1)^2 + 1/2 E_model (l + 1)^2, minimised by l* = (p_data - p_model) / (p_data + p_model).

    Paper: Mao et al. 2017, https://arxiv.org/abs/1611.04076, eq. 2 with a = -1, b = 1, so that 0 is undecided.
    """
    return 0.5 * ((logit_data - 1).square().mean() + (logit_model + 1).square().mean())


def least_squares_generator_loss(logit_model: Float[Tensor, "M"]) -> Float[Tensor, ""]:
    """1/2 E_model (l - 1)^2 (Mao et al. 2017, eq. 2 with c = b = 1)."""
    return 0.5 * (logit_model - 1).square().mean()


def wasserstein_critic_loss(logit_data: Float[Tensor, "B"], logit_model: Float[Tensor, "M"]) -> Float[Tensor, ""]:
    """E_model l - E_data l: minus the distance, where the critic is 1-Lipschitz.

    Paper: Arjovsky et al. 2017, https://arxiv.org/abs/1701.07875, eq. 2.  Needs `gradient_penalty` or spectral norm.
    """
    return logit_model.mean() - logit_data.mean()


def wasserstein_generator_loss(logit_model: Float[Tensor, "M"]) -> Float[Tensor, ""]:
    """-E_model l."""
    return -logit_model.mean()


class Game(NamedTuple):
    """The losses of two players that belong together."""

    critic: CriticLoss
    generator: GeneratorLoss


NON_SATURATING = Game(bce_critic_loss, bce_generator_loss)
MINIMAX = Game(bce_critic_loss, bce_generator_loss_saturating)
HINGE = Game(hinge_critic_loss, hinge_generator_loss)
LEAST_SQUARES = Game(least_squares_critic_loss, least_squares_generator_loss)
WASSERSTEIN = Game(wasserstein_critic_loss, wasserstein_generator_loss)


def logit_entropy(logit: Float[Tensor, "B"]) -> Float[Tensor, ""]:
    """Mean entropy of Bernoulli(sigmoid(logit)), nats, in [0, log 2]: H = softplus(l) - l sigmoid(l).

    The bonus that keeps GAIL's critic unsure: Ho & Ermon 2016, https://arxiv.org/abs/1606.03476.
    """
    return (F.softplus(logit) - logit * torch.sigmoid(logit)).mean()


def gradient_penalty(
    logit_fn: Callable[[Tensor], Tensor],
    x_data: Float[Tensor, "B *E"],
    x_model: Float[Tensor, "M *E"],
    *,
    target: float = 1.0,
    generator: torch.Generator | None = None,
) -> Float[Tensor, ""]:
    """E (||grad_x logit(x)|| - target)^2 at x = a x_data + (1 - a) x_model, one a ~ U(0, 1) a sample; differentiable.

    Paper: Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028, eq. 3.  Raises ValueError where M is not B.
    """
    if x_data.shape != x_model.shape:
        raise ValueError(
            f"gradient_penalty pairs the two sides row by row, so their shapes must be equal: x_data has "
            f"{tuple(x_data.shape)}, x_model has {tuple(x_model.shape)}; draw batches of one size"
        )
    alpha_shape = (len(x_data),) + (1,) * (x_data.ndim - 1)
    alpha = torch.rand(alpha_shape, generator=generator, device=x_data.device, dtype=x_data.dtype)
    x = torch.lerp(x_model.detach(), x_data.detach(), alpha)
    return (_gradient_norm(logit_fn, x) - target).square().mean()


def dragan_penalty(
    logit_fn: Callable[[Tensor], Tensor],
    x_data: Float[Tensor, "B *E"],
    *,
    target: float = 1.0,
    generator: torch.Generator | None = None,
) -> Float[Tensor, ""]:
    """E (||grad_x logit(x)|| - target)^2 around the data, at x_data + a s u / 2; differentiable.

    s is the standard deviation of all elements of the batch, u ~ U(0, 1) an element and a ~ U(0, 1) an event.

    Paper: Kodali et al. 2017, https://arxiv.org/abs/1705.07215, with the noise of its released code.
    """
    x_data = x_data.detach()
    alpha_shape = (len(x_data),) + (1,) * (x_data.ndim - 1)
    alpha = torch.rand(alpha_shape, generator=generator, device=x_data.device, dtype=x_data.dtype)
    noise = torch.rand(x_data.shape, generator=generator, device=x_data.device, dtype=x_data.dtype)
    x = x_data + 0.5 * alpha * x_data.std() * noise
    return (_gradient_norm(logit_fn, x) - target).square().mean()


def r1_penalty(logit_fn: Callable[[Tensor], Tensor], x_data: Float[Tensor, "B *E"]) -> Float[Tensor, ""]:
    """1/2 E_data ||grad_x logit(x)||^2; differentiable.

    Paper: Mescheder et al. 2018, https://arxiv.org/abs/1801.04406, eq. 9 (its weight gamma is the caller's).
    """
    return 0.5 * _gradient_norm(logit_fn, x_data.detach()).square().mean()


def _gradient_norm(logit_fn: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """||grad_x logit(x)||, (B,), with a graph for the second derivative; vector_norm's slope at zero is zero."""
    x = x.requires_grad_(True)
    (grad,) = torch.autograd.grad(logit_fn(x).sum(), x, create_graph=True)
    return torch.linalg.vector_norm(grad.flatten(1), dim=1)
