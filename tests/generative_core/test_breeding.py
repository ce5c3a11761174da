"""Births that replay, laws that the operators keep, and taste that is met; and sets enlarged by draws."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from generative_core import ClassConditionalGaussian, Genealogy, augment, breed
from generative_core.families import AbstractGenerator
from generative_core.latent.breeding import Birth, cross, mutate


class Shown(AbstractGenerator):
    """The event is z and the classes."""

    def __init__(self) -> None:
        super().__init__()
        self.event_shape, self.latent_features = (7,), 4
        self.one = torch.nn.Parameter(torch.ones(()))

    def forward(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return self.one * torch.cat([z, context], dim=1)


TARGET = torch.tensor([1.0, -1.0, 0.5, 0.0, 0.0, 0.5, 0.5])


def near_target(x: Tensor) -> Tensor:
    return -(x - TARGET).square().sum(1)


def bred(seed: int = 0, generations: int = 30):
    random = torch.Generator().manual_seed(seed)
    return breed(Shown(), near_target, n_classes=3, generations=generations, litter=10, survivors=3, generator=random)


def test_a_genealogy_replays_bit_for_bit():
    genealogy, fitness = bred()
    everyone = range(len(genealogy.births))
    again = Genealogy(4, 3, births=[], rate=genealogy.rate)
    for birth in genealogy.births:
        again.add(birth)
    for copy in (genealogy.replay(), again):
        assert copy.births == genealogy.births
        assert all(torch.equal(a, b) for a, b in zip(copy.genes(everyone), genealogy.genes(everyone), strict=True))
    assert len(fitness) == len(everyone) == 31 * 10
    assert_close(near_target(Shown()(*genealogy.genes(everyone))).detach(), fitness)


def test_evolution_beats_random_search_of_equal_budget():
    for seed in range(3):
        fitness = bred(seed).fitness
        random = Genealogy(4, 3)
        everyone = [random.add(Birth("found", (), 1000 * seed + i)) for i in range(len(fitness))]
        best_random = near_target(Shown()(*random.genes(everyone))).max()
        assert fitness.max() > 0.5 * best_random  # both negative: at most half the distance


def test_the_operators_keep_the_prior_and_the_simplex():
    random = torch.Generator().manual_seed(0)
    z = torch.randn(2, 20_000, generator=random)
    classes = torch.eye(3)[:2]
    child, mixed = mutate((z[0], classes[0]), rate=0.4, generator=random)
    assert abs(float(child.std()) - 1) < 0.03
    assert abs(float((child * z[0]).mean()) - 0.6**0.5) < 0.03
    half, between = cross((z[0], classes[0]), (z[1], classes[1]), generator=random)
    assert ((half == z[0]) | (half == z[1])).all()
    assert 0.45 < float((half == z[0]).float().mean()) < 0.55
    for weights in (mixed, between):
        assert (weights >= 0).all()
        assert_close(weights.sum(), torch.tensor(1.0))
    same, _ = mutate((z[0], classes[0]), rate=0.0, generator=random)
    assert torch.equal(same, z[0])


def test_nobody_is_born_of_the_unborn():
    genealogy = Genealogy(4, 3)
    genealogy.add(Birth("found", (), 0))
    for birth in (Birth("mutate", (1,), 0), Birth("cross", (0,), 0), Birth("found", (0,), 0)):
        with pytest.raises(ValueError, match="born already"):
            genealogy.add(birth)
    with pytest.raises(ValueError, match="two survivors"):
        breed(Shown(), near_target, n_classes=3, litter=4, survivors=1, generator=torch.Generator())


def test_augmentation_adds_evenly_and_behind():
    x, labels = torch.randn(30, 2, generator=torch.Generator().manual_seed(0)), torch.arange(30) % 3
    x = x + 10 * labels[:, None]
    model = ClassConditionalGaussian((2,), n_classes=3).fit(x, labels)
    more, all_labels = augment(x, labels, model, n_per_class=7, n_classes=3, generator=torch.Generator().manual_seed(1))
    assert torch.equal(more[:30], x)
    assert all_labels[30:].bincount().tolist() == [7, 7, 7]
    assert ((more[30:] / 10).round().mean(1) - all_labels[30:]).abs().max() < 0.6
    with pytest.raises(ValueError, match=r"0 \.\. 1"):
        augment(x, labels, model, n_per_class=1, n_classes=2)


def test_births_that_are_given_are_born():
    births = [Birth("found", (), 1), Birth("found", (), 2), Birth("cross", (0, 1), 3)]
    genealogy = Genealogy(4, 3, births=births)
    assert genealogy == Genealogy(4, 3, births=births)
    assert genealogy.genes([2]).z.shape == (1, 4)
    genealogy.add(Birth("mutate", (2,), 4))
    assert len(births) == 3  # the caller's own list
    with pytest.raises(ValueError, match="born already"):
        Genealogy(4, 3, births=births[2:])


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_a_rate_is_a_share(rate):
    with pytest.raises(ValueError, match="rate"):
        Genealogy(4, 3, rate=rate)
    with pytest.raises(ValueError, match="rate"):
        mutate((torch.zeros(4), torch.ones(3) / 3), rate=rate, generator=torch.Generator())


def test_a_fitness_of_nan_has_no_children():
    def taste(x: Tensor) -> Tensor:
        return torch.where(x[:, 0] > 0, torch.nan, near_target(x))

    random = torch.Generator().manual_seed(0)
    genealogy, fitness = breed(Shown(), taste, n_classes=3, generations=1, litter=8, survivors=2, generator=random)
    assert fitness[:8].isnan().any()
    parents = {parent for birth in genealogy.births for parent in birth.parents}
    assert not fitness[list(parents)].isnan().any()
    with pytest.raises(FloatingPointError, match="nan"):
        breed(Shown(), lambda x: x[:, 0] * torch.nan, n_classes=3, generator=random)
