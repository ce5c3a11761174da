"""The one latent-variable model whose likelihood and posterior are known: x = W z + A c + b + scale * noise."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from generative_core import VAE


def linear_vae(n_dims: int, latent: int, *, context_features: int = 0, seed: int = 0) -> VAE:
    """A linear decoder and a linear encoder (of the mean and of the log scale), float64, random parameters."""
    torch.manual_seed(seed)
    return VAE((n_dims,), latent=latent, hidden=(), context_features=context_features).double()


def weights(vae: VAE) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """W (D, Z), A (D, K), b (D,), scale ()."""
    linear = vae.decoder.net.layers[0]
    w, a = linear.weight.split([vae.latent_features, vae.context_features], dim=1)
    return w, a, linear.bias, vae.likelihood.log_scale.exp()


def exact_log_prob(vae: VAE, x: Tensor, context: Tensor | None = None) -> Tensor:
    """log N(x; A c + b, W W^T + scale^2 I), (B,)."""
    w, a, b, scale = weights(vae)
    mean = b if context is None else b + context @ a.T
    covariance = w @ w.T + scale**2 * torch.eye(len(b), dtype=x.dtype)
    return MultivariateNormal(mean, covariance).log_prob(x)


def exact_posterior(vae: VAE, x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (B, Z) and covariance (Z, Z) of p(z | x), without context."""
    w, _, b, scale = weights(vae)
    covariance = torch.linalg.inv(torch.eye(w.shape[1], dtype=x.dtype) + w.T @ w / scale**2)
    return (x - b) @ w @ covariance / scale**2, covariance


def minimise(module: nn.Module, loss: Callable[[], Tensor], *, max_iter: int = 200) -> None:
    """LBFGS until it stops: for losses that are the same function at every call."""
    optimiser = torch.optim.LBFGS(module.parameters(), line_search_fn="strong_wolfe", max_iter=max_iter)

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = loss()
        value.backward()
        return value

    optimiser.step(closure)
