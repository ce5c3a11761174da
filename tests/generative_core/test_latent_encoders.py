"""Encoders that learn a generator's inverse, and the edits made with them."""

import torch
from torch import Tensor, nn
from torch.testing import assert_close

from generative_core import AgeCGAN, IcGAN, LatentEncoder, MaximumLikelihoodStep, fit
from generative_core.families import AbstractGenerator

IMAGE = (1, 4, 4)


class Stripes(AbstractGenerator):
    """The upper half shows z, the lower half the condition: each number on four pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.event_shape, self.latent_features = IMAGE, 2
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        numbers = torch.cat([self.gain * z, context], dim=1)  # (n, 4)
        return numbers.repeat_interleave(4, dim=1).unflatten(1, IMAGE)


def pairs(n: int = 64) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    y = nn.functional.one_hot(torch.randint(2, (n,), generator=random), 2).float()
    return Stripes()(torch.randn(n, 2, generator=random), y).detach(), y


def linear() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 2))


def test_an_encoder_learns_the_inverse_from_the_generators_images_alone():
    torch.manual_seed(0)
    net = Stripes()
    encoder = LatentEncoder(net, encoder=linear())
    x, y = pairs()
    nonsense = torch.full_like(x, 7.0)  # events of the batch are not looked at
    fit(MaximumLikelihoodStep(encoder, lr=2e-2), iter(lambda: (nonsense, y), None), 300)
    z = torch.randn(50, 2, generator=torch.Generator().manual_seed(2))
    assert_close(encoder(net(z, y[:50])), z, atol=0.1, rtol=0)
    assert torch.equal(encoder.generator.gain, torch.ones(()))


def test_the_copy_of_the_generator_stays_in_evaluation_mode():
    encoder = LatentEncoder(Stripes(), encoder=linear()).train()
    assert encoder.training
    assert not encoder.generator.training


def test_both_encoders_of_icgan_learn_and_an_edit_changes_what_it_names():
    torch.manual_seed(0)
    model = IcGAN(Stripes(), context_features=2, channels=(8, 16))
    x, y = pairs()
    fit(MaximumLikelihoodStep(model, lr=1e-2), iter(lambda: (x, y), None), 150)
    model.eval()
    with torch.no_grad():
        z, attributes = model.encode(x)
        edited = model.edit(x, y.flip(1))
        assert (attributes.argmax(1) == y.argmax(1)).all()
        assert_close(edited[:, :, 2:], Stripes()(z, y.flip(1))[:, :, 2:])
        assert (edited[:, :, :2] - x[:, :, :2]).square().mean() < 0.2 * x[:, :, :2].square().mean()
        assert (model.reconstruct(x) - x).square().mean() < 0.2


def test_each_encoder_of_icgan_has_a_loss_of_its_own():
    torch.manual_seed(0)
    model = IcGAN(Stripes(), context_features=2, channels=(4, 8))
    x, y = pairs()
    loss = lambda: model.loss(x, y, generator=torch.Generator().manual_seed(0))  # noqa: E731
    own = model.latent_encoder.loss(x, y, generator=torch.Generator().manual_seed(0))
    assert_close(loss() - own, (model.attribute_encoder(x) - y).square().sum(1))
    blind = torch.autograd.grad(own.sum(), list(model.attribute_encoder.parameters()), allow_unused=True)
    assert all(g is None for g in blind)


def test_identity_is_kept_by_the_features_and_lost_by_the_pixels():
    """x is no image of the generator: its lower half is off.  FR sees the first half, where the identity is."""
    torch.manual_seed(0)
    encoder = LatentEncoder(Stripes(), encoder=linear())
    x, y = pairs(8)
    identity = x.clone()
    x[:, :, 1] += 3.0  # pixels of half the identity are spoilt, alike for z's second number
    kept, pixel = (AgeCGAN(encoder, features=f, steps=300, lr=0.1) for f in (lambda im: im[:, :, 0], None))
    new = kept.change(x, y, y.flip(1))
    assert_close(new[:, :, 0], identity[:, :, 0], atol=0.05, rtol=0)
    assert_close(new[:, :, 2:], identity[:, :, 2:].flip(2), atol=1e-6, rtol=0)
    assert torch.equal(kept.optimise(x, y).z, kept.optimise(x, y).z)
    assert (pixel.optimise(x, y).residual <= ((encoder.generator(pixel.guess(x), y) - x) ** 2).flatten(1).sum(1)).all()


def test_a_prior_draws_the_latent_to_where_the_generator_was_trained():
    """Each of z's two numbers is on four pixels: argmin 4 (z - a)^2 + prior/2 z^2 = a / (1 + prior/8)."""
    torch.manual_seed(0)
    encoder = LatentEncoder(Stripes(), encoder=linear())
    x, y = pairs(8)
    free, drawn = (AgeCGAN(encoder, features=None, prior=p, steps=400, lr=0.1).optimise(x, y).z for p in (0.0, 8.0))
    assert_close(drawn, free / 2, atol=1e-3, rtol=0)
