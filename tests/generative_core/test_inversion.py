"""Inversion against a generator whose answer is a linear solve, and what is built on it."""

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from generative_core import AnoGAN, inpaint, invert
from generative_core.families import AbstractCritic, AbstractGenerator
from generative_core.latent.inpainting import context_weights
from generative_core.latent.inversion import absolute_error, squared_error

IMAGE = (1, 3, 4)


class Linear(AbstractGenerator):
    """x = A z + b."""

    def __init__(self, latent: int = 3) -> None:
        super().__init__()
        self.event_shape, self.latent_features = IMAGE, latent
        random = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(12, latent, generator=random))
        self.bias = nn.Parameter(torch.randn(12, generator=random))

    def forward(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return (z @ self.weight.T + self.bias).unflatten(1, IMAGE)


class Wave(AbstractGenerator):
    """x = sin 3z + z / 3: many local minima."""

    def __init__(self) -> None:
        super().__init__()
        self.event_shape, self.latent_features = (1,), 1
        self.one = nn.Parameter(torch.ones(()))

    def forward(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return (3 * z).sin() + self.one * z / 3


class Brightness(AbstractCritic):
    """Likes bright images."""

    event_shape = IMAGE

    def logit(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return 0.1 * x.flatten(1).sum(1)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_it_finds_the_latents_of_the_models_own_images():
    net, z = Linear(), noise(5, 3)
    found = invert(net, net(z).detach(), lr=0.1, steps=400, generator=torch.Generator().manual_seed(1))
    assert_close(found.z, z, atol=2e-2, rtol=0)
    assert found.residual.max() < 1e-2
    assert_close(found.made, net(found.z).detach())
    assert all(p.grad is None for p in net.parameters())
    assert not found.z.requires_grad


def test_the_prior_gives_ridge_regression():
    """argmin ||A z + b - x||^2 + p/2 ||z||^2 = (A'A + p/2 I)^-1 A'(x - b)."""
    net, x, prior = Linear(), noise(4, *IMAGE, seed=2), 6.0
    found = invert(net, x, prior=prior, lr=0.1, steps=400, generator=torch.Generator().manual_seed(1))
    a = net.weight.detach()
    target = (x.flatten(1) - net.bias.detach()) @ a
    expected = torch.linalg.solve(a.T @ a + prior / 2 * torch.eye(3), target.T).T
    assert_close(found.z, expected, atol=1e-2, rtol=0)
    assert_close(found.residual, squared_error(net(found.z).detach(), x))


def test_features_may_ignore_what_does_not_matter():
    """The features are the first row, which three latents can match exactly whatever the rest."""
    net, x = Linear(), noise(2, *IMAGE, seed=3)
    first_row = lambda images: images[:, :, 0, :3]  # noqa: E731
    found = invert(net, x, features=first_row, lr=0.2, steps=600, generator=torch.Generator())
    assert found.residual.max() < 0.02
    assert squared_error(found.made, x).min() > 1


def test_restarts_escape_local_minima_and_keep_the_best_of_each_event():
    net = Wave()
    x = net(noise(40, 1)).detach()
    one, many = (
        invert(net, x, restarts=n, steps=80, generator=torch.Generator().manual_seed(4)).residual for n in (1, 8)
    )
    assert (many <= one + 1e-6).all()  # the first start is the same
    assert one.max() > 0.1 > 10 * many.max()


def test_it_is_the_random_generators_and_nothing_elses():
    net, x = Linear(), noise(3, *IMAGE)
    before = torch.get_rng_state()
    draw = lambda seed: invert(net, x, steps=3, generator=torch.Generator().manual_seed(seed)).z  # noqa: E731
    assert torch.equal(draw(0), draw(0))
    assert not torch.equal(draw(0), draw(1))
    assert torch.equal(torch.get_rng_state(), before)
    start = noise(3, 3, seed=9)
    nearby = invert(net, x, start=start, steps=1, lr=1e-4)
    assert_close(nearby.z, start, atol=1e-3, rtol=0)
    with pytest.raises(ValueError, match="at least one step"):
        invert(net, x, steps=0)


def test_anomalies_are_what_the_generator_cannot_make():
    net = Linear()
    normal = net(noise(6, 3)).detach()
    odd = normal.clone()
    odd[:, 0, 1, 2] += 5.0
    detector = AnoGAN(net, lambda x: x.flatten(1)[:, :2], weight=0.1, steps=300, lr=0.1)
    clean, anomaly = (detector.inspect(x, generator=torch.Generator().manual_seed(1)) for x in (normal, odd))
    assert clean.score.max() < 0.3 * anomaly.score.min()
    assert (anomaly.residual.flatten(1).argmax(1) == 6).all()  # row 1, column 2
    by_hand = 0.9 * absolute_error(anomaly.made, odd) + 0.1 * (anomaly.made - odd).flatten(1)[:, :2].abs().sum(1)
    assert_close(anomaly.score, by_hand)
    with pytest.raises(ValueError, match="weight"):
        AnoGAN(net, nn.Flatten(), weight=1.5)


def test_context_weights_count_the_hole_around_a_pixel():
    known = torch.ones(1, 1, 5, 5)
    known[..., 2, 2] = 0
    weights = context_weights(known, window=3)[0, 0]
    assert weights[2, 2] == 0
    assert_close(weights[1:4, 1:4].sum(), torch.tensor(1.0))  # eight neighbours with one unknown of eight
    assert weights[0].sum() == 0


def test_inpainting_keeps_what_is_known_and_never_reads_the_hole():
    net, critic = Linear(), Brightness()
    z = noise(3, 3)
    truth = net(z).detach()
    known = torch.ones(3, 1, 3, 4)
    known[..., 1, 1] = 0
    arguments = {"realism": 0.0, "steps": 400, "lr": 0.1}
    filled, _ = inpaint(net, critic, truth, known, **arguments, generator=torch.Generator().manual_seed(0))
    assert torch.equal(filled[known > 0], truth[known > 0])
    assert_close(filled, truth, atol=0.1, rtol=0)
    spoilt = torch.where(known > 0, truth, torch.nan)
    again, _ = inpaint(net, critic, spoilt, known, **arguments, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again, filled)


def test_realism_draws_the_hole_to_what_the_critic_likes():
    net, critic = Linear(), Brightness()
    truth, known = noise(3, *IMAGE, seed=5), torch.zeros(3, 1, 3, 4)
    known[..., 0, 0] = 1
    brightness = [
        inpaint(net, critic, truth, known, realism=realism, steps=50, lr=0.2, generator=torch.Generator())[0].sum()
        for realism in (0.0, 0.5)
    ]
    assert brightness[1] > brightness[0] + 1


def test_a_mask_of_truth_values_is_one_of_numbers():
    net, x = Linear(), noise(2, *IMAGE)
    known = torch.ones(2, 1, 3, 4)
    known[..., 1, 1] = 0
    assert_close(context_weights(known.bool()), context_weights(known))
    filled = [
        inpaint(net, Brightness(), x, mask, steps=3, generator=torch.Generator().manual_seed(0))[0]
        for mask in (known, known.bool())
    ]
    assert torch.equal(*filled)


def test_a_start_that_ends_in_nan_is_the_worst():
    net, x = Linear(), noise(3, *IMAGE)
    start = torch.full((3, 3), torch.nan)
    found = invert(net, x, start=start, restarts=2, steps=5, generator=torch.Generator().manual_seed(0))
    assert_close(found.z, invert(net, x, steps=5, generator=torch.Generator().manual_seed(0)).z)
    with pytest.raises(FloatingPointError, match="3 of 3"):
        invert(net, x, start=start, steps=5)


def test_features_of_what_is_looked_for_are_computed_once():
    net, x, seen = Linear(), noise(2, *IMAGE), []

    def features(images: Tensor) -> Tensor:
        seen.append(images)
        return images.flatten(1)

    invert(net, x, features=features, steps=4, restarts=2, generator=torch.Generator().manual_seed(0))
    assert sum(images is x for images in seen) == 1
