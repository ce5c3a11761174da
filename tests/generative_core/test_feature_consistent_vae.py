"""A distance of features in the place of a likelihood."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from generative_core import VAE, FeatureConsistentVAE, GaussianLikelihood, MaximumLikelihoodStep


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


class TwoLayers(nn.Module):
    """Features of two depths; the first sees only the sum of the elements."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.second = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.sum(1, keepdim=True), self.second(self.norm(x)).relu()


def make(features: nn.Module, **keywords) -> FeatureConsistentVAE:
    torch.manual_seed(0)
    return FeatureConsistentVAE((3,), features, latent=2, hidden=(8,), **keywords).double()


def test_the_distance_is_zero_where_the_features_are_equal_and_only_there():
    model = make(nn.Linear(3, 1, bias=False))
    with torch.no_grad():
        model.features.weight.copy_(torch.tensor([[1.0, 1.0, 0.0]]))
    x, step = random(4, 3), random(4, 1, seed=1)
    same = x + step * torch.tensor([1.0, -1.0, 5.0])  # moves where the features do not look
    assert_close(model.feature_distance(x, same), torch.zeros(4, dtype=torch.float64))
    other = x + 1e-3 * torch.tensor([1.0, 0.0, 0.0])
    assert_close(model.feature_distance(x, other), torch.full((4,), 0.5e-6, dtype=torch.float64))


def test_layers_add_up_with_their_weights():
    torch.manual_seed(1)
    features = TwoLayers().double().eval()
    x, other = random(4, 3), random(4, 3, seed=1)
    model = make(features, layer_weights=(0.5, 3.0))
    squares = [(a - b).square().sum(1) for a, b in zip(features(x), features(other), strict=True)]
    assert_close(model.feature_distance(x, other), 0.25 * squares[0] + 1.5 * squares[1])


def test_half_precision_regions_leave_the_distance_in_full_precision():
    model = make(nn.Linear(3, 200)).float()
    x, other = random(4, 3).float(), random(4, 3, seed=1).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        distance = model.feature_distance(x, other)
    assert distance.dtype == torch.float32
    assert_close(distance, model.feature_distance(x, other), rtol=0.02, atol=0)


def test_with_the_identity_as_features_it_is_a_vae_up_to_the_constant_of_its_density():
    scale = 0.3
    model = make(nn.Identity(), layer_weights=(1 / scale**2,))
    likelihood = GaussianLikelihood(learned=False).double()
    likelihood.log_scale.fill_(math.log(scale))
    vae = VAE((3,), latent=2, likelihood=likelihood, encoder=model.encoder, decoder=model.decoder).double()
    x = random(6, 3)
    difference = model.elbo(x, generator=seeded()) - vae.elbo(x, generator=seeded())
    constant = likelihood.log_prob(x.unsqueeze(-1), x).sum(1)  # the density at its peak
    assert_close(difference, -constant)


def test_the_feature_network_is_a_frozen_copy():
    features = TwoLayers()
    model = make(features.double())
    with pytest.raises(ValueError, match="2 layers and there are 1 layer_weights"):
        model.elbo(random(4, 3))
    model = make(features, layer_weights=(1.0, 1.0))
    before = {name: value.clone() for name, value in model.features.state_dict().items()}
    step = MaximumLikelihoodStep(model, lr=0.1, weight_decay=0.1)
    for seed in range(3):
        step(random(32, 3, seed=seed))
    assert model.training
    assert not model.features.training
    assert all(torch.equal(before[name], value) for name, value in model.features.state_dict().items())
    assert features.second.weight.requires_grad  # the one that was passed in is left as it was
    assert model.features.second.weight is not features.second.weight


def test_training_makes_the_features_of_the_reconstruction_those_of_the_event():
    """Features that see one direction alone: that one is reconstructed, the others are not."""
    features = nn.Linear(3, 1, bias=False)
    with torch.no_grad():
        features.weight.copy_(torch.tensor([[1.0, 0.0, 0.0]]))
    model = make(features, layer_weights=(100.0,)).float()
    x = random(256, 3).float()
    step = MaximumLikelihoodStep(model, lr=1e-2)
    for _ in range(200):
        step(x)
    error = (model.eval().reconstruct(x, generator=seeded()) - x).square().mean(0).sqrt()
    assert error[0] < 0.25
    assert error[1:].min() > 0.8


def test_the_output_activation_bounds_the_events():
    model = make(nn.Identity(), output_activation=nn.Tanh)
    with torch.no_grad():
        model.decoder.net.layers[-1].bias.fill_(50.0)
    assert_close(model.sample(4), torch.ones(4, 3, dtype=torch.float64))


def test_weights_that_are_none_or_negative_are_refused():
    for weights in ((), (1.0, -1.0)):
        with pytest.raises(ValueError, match="layer_weights must be"):
            make(nn.Identity(), layer_weights=weights)
