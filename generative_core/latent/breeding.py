"""Evolution of a conditional generator's inputs under somebody's taste, with a genealogy that replays exactly."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from generative_core.families import AbstractGenerator


class Genes(NamedTuple):
    """n individuals: what the generator is given to make them."""

    z: Float[Tensor, "n Z"]
    classes: Float[Tensor, "n K"]
    """Weights of the classes, >= 0 with sum 1.  A layer that is linear in them mixes its class embeddings so."""


class Birth(NamedTuple):
    """How an individual came to be."""

    kind: Literal["found", "mutate", "cross"]
    parents: tuple[int, ...]
    """Their numbers in the genealogy: none, one or two."""
    seed: int
    """Of all that was drawn for it."""


@dataclass
class Genealogy:
    """Every individual ever bred, in order; the whole of it follows from the births.

    Raises ValueError for a rate outside [0, 1] and for births of parents that are not born yet.
    """

    latent: int
    n_classes: int
    rate: float = 0.3
    """How far a mutation goes: 0 changes nothing, 1 draws anew."""
    births: list[Birth] = field(default_factory=list)
    """In their order; those that are given are born again."""
    _genes: list[tuple[Tensor, Tensor]] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _require_rate(self.rate)
        births, self.births = self.births, []
        for birth in births:
            self.add(birth)

    def add(self, birth: Birth) -> int:
        """The number of the newborn.  Raises ValueError for parents that are not born yet, or too few of them."""
        n_parents = {"found": 0, "mutate": 1, "cross": 2}[birth.kind]
        if len(birth.parents) != n_parents or not all(0 <= parent < len(self.births) for parent in birth.parents):
            raise ValueError(f"to {birth.kind} takes {n_parents} parents that are born already, got {birth.parents}")
        parents = [self._genes[parent] for parent in birth.parents]
        random = torch.Generator().manual_seed(birth.seed)
        match birth.kind:
            case "found":
                child = found(self.latent, self.n_classes, generator=random)
            case "mutate":
                child = mutate(*parents, rate=self.rate, generator=random)
            case "cross":
                child = cross(*parents, generator=random)
        self.births.append(birth)
        self._genes.append(child)
        return len(self.births) - 1

    def genes(self, individuals: Sequence[int]) -> Genes:
        """What the generator is given for these, on the CPU."""
        z, classes = zip(*(self._genes[i] for i in individuals), strict=True)
        return Genes(torch.stack(z), torch.stack(classes))

    def replay(self) -> "Genealogy":
        """All births once more: the same individuals, bit for bit."""
        return Genealogy(self.latent, self.n_classes, self.rate, self.births)


def found(latent: int, n_classes: int, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """An individual out of nothing: z ~ N(0, I) (Z,) and one class (K,)."""
    z = torch.randn(latent, generator=generator)
    label = torch.randint(n_classes, (1,), generator=generator)
    return z, torch.nn.functional.one_hot(label, n_classes).float().squeeze(0)


def mutate(parent: tuple[Tensor, Tensor], *, rate: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """z' = sqrt(1 - rate) z + sqrt(rate) noise, which keeps N(0, I); classes pulled towards a random mix by rate u.

    Raises ValueError for a rate outside [0, 1].
    """
    _require_rate(rate)
    z, classes = parent
    noise = torch.randn(z.shape, generator=generator)
    mix = torch.empty(classes.shape).exponential_(generator=generator)  # over its sum: uniform on the simplex
    share = rate * torch.rand(1, generator=generator)
    return (1 - rate) ** 0.5 * z + rate**0.5 * noise, torch.lerp(classes, mix / mix.sum(), share)


def cross(
    mother: tuple[Tensor, Tensor], father: tuple[Tensor, Tensor], *, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Each number of z from one parent or the other; the classes on the line between theirs."""
    from_father = torch.rand(mother[0].shape, generator=generator) < 0.5
    share = torch.rand(1, generator=generator)
    return torch.where(from_father, father[0], mother[0]), torch.lerp(mother[1], father[1], share)


def _require_rate(rate: float) -> None:
    if not 0 <= rate <= 1:
        raise ValueError(f"rate lies in [0, 1], from no change to a new draw; got {rate}")


class Bred(NamedTuple):
    """The outcome of `breed`."""

    genealogy: Genealogy
    fitness: Float[Tensor, "n"]
    """Of every individual, in the order of their birth."""


@torch.no_grad()
def breed(
    model: AbstractGenerator,
    fitness: Callable[[Tensor], Tensor],
    *,
    n_classes: int,
    generations: int = 20,
    litter: int = 16,
    survivors: int = 4,
    rate: float = 0.3,
    generator: torch.Generator,
) -> Bred:
    """Of `litter` founders and of each later litter the `survivors` with the highest fitness so far become parents.

    Half of a litter are mutants of one survivor, half crosses of two.  `fitness` (B, *E) -> (B,) is the taste,
    higher is better: a person, or what stands for one.  (generations + 1) * litter events are judged in all.  The model
    is in evaluation mode; `generator` is on the CPU.  A fitness of nan is the worst.  Raises ValueError without two
    survivors out of a litter or for a rate outside [0, 1], FloatingPointError where that of every founder is nan.

    Source of the idea: GanBreeder (Simon 2018), which breeds BigGAN's z and class embedding; here the weights of the
    classes, which a conditional generator's first, linear layer makes an embedding of.
    """
    if not 2 <= survivors <= litter:
        raise ValueError(f"a cross takes two survivors out of a litter of {litter}, got {survivors}")
    like = next(model.parameters())
    genealogy = Genealogy(model.latent_features, n_classes, rate)

    def seed() -> int:
        return int(torch.randint(2**62, (1,), generator=generator))

    def judge(individuals: list[int]) -> Tensor:
        z, classes = genealogy.genes(individuals)
        return fitness(model(z.to(like), classes.to(like))).cpu()

    newborn = [genealogy.add(Birth("found", (), seed())) for _ in range(litter)]
    scores = judge(newborn)
    if scores.isnan().all():
        raise FloatingPointError("the fitness of every founder is nan")
    for _ in range(generations):
        parents = torch.where(scores.isnan(), -torch.inf, scores).topk(survivors).indices
        newborn = []
        for i in range(litter):
            mother, father = parents[torch.randperm(survivors, generator=generator)[:2]].tolist()
            birth = Birth("mutate", (mother,), seed()) if i % 2 else Birth("cross", (mother, father), seed())
            newborn.append(genealogy.add(birth))
        scores = torch.cat([scores, judge(newborn)])
    return Bred(genealogy, scores)
