"""The game learns what it is shown, and ends undecided."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from generative_core import GAN, AdversarialStep, ExponentialMovingAverage, MetricHistory, fit, objectives
from generative_core.adversarial.networks import accuracy


def endless(draw, batch_size: int = 256):
    """Batches (x,) of fresh draws."""
    generator = torch.Generator().manual_seed(0)
    while True:
        yield (draw(batch_size, generator),)


def test_one_generator_update_raises_the_critics_opinion_of_its_samples():
    torch.manual_seed(0)
    gan = GAN((2,), latent=2, hidden=(16,))
    step = AdversarialStep(gan, lr=1e-2, critic_steps=0)
    before = [p.detach().clone() for p in gan.critic.parameters()]
    losses = [step(torch.zeros(64, 2))["loss_generator"] for _ in range(20)]
    assert losses[-1] < losses[0] - 0.01
    assert all(torch.equal(a, b) for a, b in zip(before, gan.critic.parameters(), strict=True))
    assert all(p.grad is None for p in gan.critic.parameters())


def test_critic_updates_leave_the_generator_alone():
    torch.manual_seed(0)
    gan = GAN((2,), latent=2, hidden=(16,))
    step = AdversarialStep(gan, lr=1e-2, critic_steps=3, generator_steps=0)
    before = [p.detach().clone() for p in gan.generator.parameters()]
    step(torch.zeros(64, 2))
    assert all(torch.equal(a, b) for a, b in zip(before, gan.generator.parameters(), strict=True))


def test_gan_learns_a_correlated_gaussian_and_the_critic_gives_up():
    """Data N(m, A A^T).  At the optimum D = 1/2, so the critic's loss is log 4."""
    torch.manual_seed(0)
    mean, root = torch.tensor([1.0, -0.5]), torch.tensor([[0.6, 0.0], [0.5, 0.4]])

    def draw(n: int, generator: torch.Generator) -> Tensor:
        return mean + torch.randn(n, 2, generator=generator) @ root.T

    gan = GAN((2,), latent=4, hidden=(32,), r1=0.3)
    step = AdversarialStep(gan, lr=1e-3, lr_critic=2e-3, critic_steps=2, betas=(0.5, 0.99))
    ema = ExponentialMovingAverage(gan, decay=0.99)  # the players circle around the optimum: see their average
    history = MetricHistory()
    fit(step, endless(draw), 600, [ema, history])
    x = ema.model.sample(10_000, generator=torch.Generator().manual_seed(1))
    assert_close(x.mean(0), mean, atol=0.15, rtol=0)
    assert_close(x.T.cov(), root @ root.T, atol=0.15, rtol=0)
    assert abs(sum(history.values["critic/adversarial"][-100:]) / 100 - math.log(4)) < 0.1
    data = draw(10_000, torch.Generator().manual_seed(2))
    assert abs(accuracy(gan.critic.logit(data), gan.critic.logit(x)) - 0.5) < 0.1


@pytest.mark.slow
def test_gan_covers_a_ring_of_eight_gaussians():
    torch.manual_seed(0)
    angles = torch.arange(8) * (2 * math.pi / 8)
    centres, std = 2 * torch.stack([angles.cos(), angles.sin()], dim=1), 0.1

    def draw(n: int, generator: torch.Generator) -> Tensor:
        which = torch.randint(8, (n,), generator=generator)
        return centres[which] + std * torch.randn(n, 2, generator=generator)

    gan = GAN((2,), latent=8, hidden=(64, 64))
    fit(AdversarialStep(gan, lr=2e-3), endless(draw), 1500)
    x = gan.sample(4000, generator=torch.Generator().manual_seed(1)).detach()
    distance, nearest = torch.cdist(x, centres).min(1)
    on_mode = distance < 3 * std
    share = nearest[on_mode].bincount(minlength=8) / len(x)
    assert on_mode.float().mean() > 0.8
    assert share.min() > 0.03


@pytest.mark.parametrize(
    "game",
    [
        objectives.NON_SATURATING,
        objectives.MINIMAX,
        objectives.HINGE,
        objectives.LEAST_SQUARES,
        objectives.WASSERSTEIN,
    ],
)
def test_every_pair_of_losses_moves_samples_to_the_data(game):
    torch.manual_seed(0)
    gan = GAN((1,), latent=1, hidden=(16,), game=game, r1=2.0)
    step = AdversarialStep(gan, lr=2e-2)
    fit(step, endless(lambda n, generator: 2 + 0.1 * torch.randn(n, 1, generator=generator), batch_size=64), 200)
    assert 1.5 < gan.sample(1000, generator=torch.Generator().manual_seed(1)).mean() < 2.5


def test_images_keep_their_shape_and_range():
    gan = GAN((1, 4, 5), latent=2, hidden=(8,), output_activation=nn.Tanh)
    x = gan.sample(3)
    assert x.shape == (3, 1, 4, 5)
    assert x.abs().max() <= 1
    assert gan.critic.logit(x).shape == (3,)


def test_a_generator_loss_that_is_not_finite_is_named():
    game = objectives.Game(objectives.bce_critic_loss, lambda logit: logit.mean() * math.nan)
    gan = GAN((1,), latent=1, hidden=(4,), game=game)
    step = AdversarialStep(gan, critic_steps=0)
    before = [p.detach().clone() for p in gan.generator.parameters()]
    with pytest.raises(FloatingPointError, match="the loss of GAN's generator"):
        step(torch.zeros(4, 1))
    assert all(torch.equal(a, b) for a, b in zip(before, gan.generator.parameters(), strict=True))


@pytest.mark.parametrize("player", ["critic", "generator"])
def test_a_finite_loss_whose_gradient_is_not_finite_moves_nobody(player):
    """The square root of nothing has a loss of 0 and no slope."""
    steep = objectives.Game(
        lambda logit, logit_model: (0 * (logit.sum() + logit_model.sum())).sqrt(),
        lambda logit: (0 * logit.sum()).sqrt(),
    )
    gan = GAN((1,), latent=1, hidden=(4,), game=steep)
    step = AdversarialStep(gan, critic_steps=int(player == "critic"))
    before = [p.detach().clone() for p in gan.parameters()]
    with pytest.raises(FloatingPointError, match="the norm of the gradient"):
        step(torch.zeros(4, 1))
    assert all(torch.equal(a, b) for a, b in zip(before, gan.parameters(), strict=True))
    assert step.n_updates == 0


def test_an_unconditional_generator_refuses_a_context():
    with pytest.raises(ValueError, match="unconditional"):
        GAN((1,)).sample(2, torch.zeros(2, 3))
