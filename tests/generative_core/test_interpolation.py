"""Paths of every model with a code."""

import pytest
import torch
from torch.testing import assert_close

from generative_core import VAE, Autoencoder, interpolate, walk
from generative_core.adversarial.gan import MLPGenerator
from generative_core.latent.interpolation import Codec, lerp


def test_a_walk_begins_and_ends_at_the_latents():
    net = MLPGenerator((3,), latent=2, hidden=(8,))
    z0, z1 = torch.randn(2, 5, 2, generator=torch.Generator().manual_seed(0))
    path = walk(net, z0, z1, 4)
    assert path.shape == (4, 5, 3)
    assert_close(path[0], net(z0))
    assert_close(path[-1], net(z1))
    assert_close(walk(net, z0, z1, 3, path=lerp)[1], net((z0 + z1) / 2))
    with pytest.raises(ValueError, match="at least 2"):
        walk(net, z0, z1, 1)


def test_an_autoencoders_path_ends_at_its_reconstructions():
    net = Autoencoder((3,), latent=2, hidden=(8,))
    x0, x1 = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    path = interpolate(net, x0, x1, 5)
    assert isinstance(net, Codec)
    assert_close(path[0], net.reconstruct(x0))
    assert_close(path[-1], net.reconstruct(x1))


def test_the_codes_of_a_vae_are_the_random_generators():
    net = VAE((3,), latent=2, hidden=(8,), context_features=1)
    x0, x1 = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    before = torch.get_rng_state()
    paths = [
        interpolate(net, x0, x1, 3, torch.ones(4, 1), generator=torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    ]
    assert torch.equal(paths[0], paths[1])
    assert not torch.equal(paths[0], paths[2])
    assert torch.equal(torch.get_rng_state(), before)
