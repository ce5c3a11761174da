"""The GAN of volumes: its gate, and that it learns where the matter is."""

import math

import pytest
import torch
from torch.testing import assert_close

from generative_core import GAN3D, AdversarialStep, fit


def small(gate: float = 0.8) -> GAN3D:
    torch.manual_seed(0)
    return GAN3D((1, 8, 8, 8), latent=4, channels=(16, 8), gate=gate)


class Judge(torch.nn.Module):
    """In the critic's place: logits given in advance."""

    def __init__(self, *logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = list(logits)

    def logit(self, x: torch.Tensor) -> torch.Tensor:
        return self.logits.pop(0)


def test_samples_are_occupancies():
    x = small().sample(6, generator=torch.Generator().manual_seed(0))
    assert x.shape == (6, 1, 8, 8, 8)
    assert 0 <= x.min() < x.max() <= 1


@pytest.mark.parametrize(("n_right", "rests"), [(4, False), (7, False), (9, True), (10, True)])
def test_the_critic_rests_only_above_eight_right_of_ten(n_right, rests):
    model, x = small(0.8), torch.zeros(5, 1, 8, 8, 8)
    right = torch.where(torch.arange(10) < n_right, 1.0, -1.0)
    model.critic = Judge(right[:5], -right[5:])  # data is right above zero, drawings below
    terms = model.critic_terms(x, x)
    assert (terms == {}) is rests
    if not rests:
        n_wrong = 10 - n_right
        losses = n_right * math.log1p(math.exp(-1)) + n_wrong * math.log1p(math.exp(1))
        assert_close(terms["adversarial"].item(), losses / 5)


def test_a_critic_that_is_ahead_does_not_move_and_the_generator_does():
    x = (torch.rand(16, 1, 8, 8, 8, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    for gate, moves in ((0.0, False), (1.0, True)):
        model = small(gate)
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        metrics = AdversarialStep(model, lr=1e-2)(x)
        moved = {name.split(".")[0] for name, p in model.named_parameters() if not torch.equal(p, before[name])}
        assert moved == ({"generator", "critic"} if moves else {"generator"})
        assert ("critic/adversarial" in metrics) is moves


def test_it_learns_which_half_is_full():
    """One voxel of twenty is turned over at random: a batch of equal volumes would be all zeros after the norm."""
    generator = torch.Generator().manual_seed(0)

    def batches():
        x = torch.zeros(16, 1, 8, 8, 8)
        x[:, :, :4] = 1
        while True:
            yield ((x - (torch.rand(x.shape, generator=generator) < 0.05).float()).abs(),)

    torch.manual_seed(0)
    model = GAN3D((1, 8, 8, 8), latent=4, channels=(8, 4))
    fit(AdversarialStep(model, lr=3e-3), batches(), 200)
    drawn = model.eval().sample(64, generator=torch.Generator().manual_seed(1))
    assert drawn[:, :, :4].mean() > 0.75
    assert drawn[:, :, 4:].mean() < 0.25


@pytest.mark.parametrize(("arguments", "match"), [({"event_shape": (1, 8, 8)}, "DCGAN"), ({"gate": 1.5}, "never")])
def test_mistakes_are_named(arguments, match):
    with pytest.raises(ValueError, match=match):
        GAN3D(**({"event_shape": (1, 8, 8, 8)} | arguments))
