"""The autoencoder: principal components where it is linear, more where it is not."""

import pytest
import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA
from torch import nn
from torch.testing import assert_close

from generative_core import Autoencoder, Bernoulli
from generative_core.nets.conv import ConvDecoder, ConvEncoder
from tests.generative_core.linear_gaussian import minimise


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_linear_one_finds_the_space_of_the_principal_components():
    x = random(200, 5) * torch.tensor([3.0, 2.0, 1.0, 0.5, 0.3], dtype=torch.float64) @ random(5, 5, seed=1) + 2.0
    torch.manual_seed(0)
    model = Autoencoder((5,), latent=2, hidden=()).double()
    minimise(model, lambda: model.loss(x).mean())

    pca = PCA(2).fit(x.numpy())
    assert_close(
        model.reconstruct(x).detach(),
        torch.from_numpy(pca.inverse_transform(pca.transform(x.numpy()))),
        atol=1e-3,
        rtol=0,
    )
    components = torch.from_numpy(pca.components_).T  # (5, 2)
    decoder = model.decoder.net.layers[0].weight.detach()
    outside = decoder - components @ (components.T @ decoder)
    assert outside.norm() < 1e-3 * decoder.norm()


def test_a_curved_one_codes_a_circle_in_one_number_better_than_a_line():
    angle = torch.linspace(0.3, 5.0, 200, dtype=torch.float64)
    x = torch.stack([angle.cos(), angle.sin()], dim=1)
    torch.manual_seed(0)
    model = Autoencoder((2,), latent=1, hidden=(16,), activation=nn.Tanh).double()
    minimise(model, lambda: model.loss(x).mean())
    line = PCA(1).fit(x.numpy())
    error_of_line = (x.numpy() - line.inverse_transform(line.transform(x.numpy()))) ** 2
    assert model.squared_error(x).mean() < 0.05 * error_of_line.sum(1).mean()


def test_the_loss_is_half_the_squared_error_up_to_a_constant():
    model = Autoencoder((3,), latent=2, hidden=(4,)).double()
    x = random(5, 3)
    constant = model.loss(x) - 0.5 * model.squared_error(x)
    assert_close(constant, torch.full((5,), 1.5, dtype=torch.float64) * torch.log(torch.tensor(2 * torch.pi)).double())


def test_the_loss_of_binary_events_is_the_cross_entropy():
    torch.manual_seed(0)
    model = Autoencoder((1, 4, 4), latent=2, hidden=(8,), likelihood=Bernoulli()).double()
    x = (random(5, 1, 4, 4) > 0).double()
    logits = model.decoder(model.encode(x))
    assert_close(model.loss(x), F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum((1, 2, 3)))
    assert_close(model.reconstruct(x), logits.sigmoid())


def test_networks_can_be_passed_in_and_take_the_context():
    shape = (2, 5, 7)
    torch.manual_seed(0)
    model = Autoencoder(
        shape,
        latent=3,
        context_features=2,
        encoder=ConvEncoder(shape, 3, channels=(4, 4), context_features=2),
        decoder=ConvDecoder(3, shape, channels=(4, 4), context_features=2),
    ).double()
    x, context = random(6, *shape), random(6, 2, seed=1)
    assert model.encode(x, context).shape == (6, 3)
    assert model.reconstruct(x, context).shape == x.shape
    model.loss(x, context).mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters() if p.requires_grad)
    with pytest.raises(ValueError, match="2 context features"):
        model.loss(x)
