"""Games on mixtures of Gaussians whose modes are known: which are found, and how much of what is drawn lies on one."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.data.toys import GRID, RING, GaussianModes
from benchmarks.images.experiments.experiment import Experiment, Measure, Role, Row, Size
from benchmarks.images.experiments.lab import Lab
from benchmarks.images.experiments.unconditional import CLIP, CLIPPED_BETAS, clip_critic
from generative_core import (
    DRAGAN,
    GAN,
    WGANGP,
    AbstractGAN,
    AdversarialStep,
    Gaussian,
    ImprovedGAN,
    MLPCritic,
    linear_decay,
    objectives,
)
from generative_core.adversarial.gan import MLPGenerator
from generative_core.adversarial.networks import leaky_relu
from generative_core.nets.shaped_mlp import ShapedMLP

PLANE = (2,)
LATENT = 8
N_TRAIN = 50_000
LR = 2e-3  # of those compared by their critics' slopes
N_SHOWN = 2_000
RADIUS = 3  # standard deviations of a mode within which a sample is of high quality

FOUND = 0.2  # of its due share of the samples that a mode must have of high quality

MODES = Measure("modes with a fifth of their due share of samples within three standard deviations", "higher")
QUALITY = Measure("share of the samples within three standard deviations of a mode; of the law itself 0.989", "higher")
EVENNESS = Measure("entropy of the nearest modes' shares over its largest, 1 where they come evenly", "higher")
OF_A_LAW = {"modes": MODES, "on_modes": QUALITY, "evenness": EVENNESS}
OF_TWO_LAWS = {f"{law}_{name}": measure for law in ("grid", "ring") for name, measure in OF_A_LAW.items()}


class Plane:
    """One law on the plane: trains games on it, measures what they draw, and keeps that for the picture."""

    def __init__(self, lab: Lab, law: GaussianModes, prefix: str = "") -> None:
        self.lab = lab
        self.law = law
        self.prefix = prefix
        self.train_data, _ = law.sample(N_TRAIN, generator=torch.Generator().manual_seed(lab.seed))
        self.unit = float(self.train_data.std())  # games play on data of unit scale, as their step sizes suppose
        self.drawn: dict[str, Tensor] = {}
        lab.record(f"{len(law.centres)} Gaussians", centres=[list(c) for c in law.centres], std=law.std, rows=N_TRAIN)

    def play(
        self, name: str, make: Callable[[], AbstractGAN], *, clip: float = 0.0, **settings: Any
    ) -> dict[str, float]:
        """Train a game from the run's seed; `settings` are those of the step.  `clip` > 0 bounds the critic's
        parameters."""
        torch.manual_seed(self.lab.seed)
        decay = linear_decay(self.lab.size.steps)  # a game circles its end by its last step size
        settings = {"lr": 1e-3} | settings
        step = AdversarialStep(make().to(self.lab.device), schedule=decay, seed=self.lab.seed, **settings)
        if clip:
            clip_critic(step, clip)
        model: Any = self.lab.train(f"{self.prefix}{name}", step, self.lab.batches(self.train_data / self.unit))
        with torch.no_grad():
            return self.measure(name, self.unit * model.sample(self.n, generator=self.lab.random(7)).cpu())

    def gaussian(self) -> dict[str, float]:
        """The trivial way."""
        model = Gaussian(PLANE).fit(self.train_data)
        return self.measure("one Gaussian", model.sample(self.n, generator=torch.Generator().manual_seed(8)))

    def ceiling(self) -> dict[str, float]:
        """Other draws of the law itself."""
        x, _ = self.law.sample(self.n, generator=torch.Generator().manual_seed(self.lab.seed + 1_000))
        return self.measure("the law", x)

    @property
    def n(self) -> int:
        return 5 * self.lab.size.n_judged

    def measure(self, name: str, x: Tensor) -> dict[str, float]:
        self.drawn[name] = x
        centres = torch.tensor(self.law.centres)
        distance, nearest = torch.cdist(x, centres, compute_mode="donot_use_mm_for_euclid_dist").min(1)
        on_mode = distance <= RADIUS * self.law.std
        share, share_on = (which.bincount(minlength=len(centres)) / len(x) for which in (nearest, nearest[on_mode]))
        values = {
            "modes": float((share_on >= FOUND / len(centres)).sum()),
            "on_modes": float(on_mode.double().mean()),
            "evenness": float(torch.special.entr(share).sum() / math.log(len(centres))),
        }
        return {f"{self.prefix}{measure}": value for measure, value in values.items()}


def scatter(lab: Lab, planes: Sequence[Plane]) -> None:
    """A row of panels for each law, one panel for each contender that has played on it."""
    names = list(planes[0].drawn)

    def draw(figure: Any) -> None:
        axes = figure.subplots(len(planes), len(names), squeeze=False)
        for row, plane in zip(axes, planes, strict=True):
            limit = 1.4 * max(abs(value) for centre in plane.law.centres for value in centre)
            for panel, name in zip(row, names, strict=True):
                if name not in plane.drawn:
                    panel.set_axis_off()
                    continue
                x = plane.drawn[name]
                panel.plot(*x[:N_SHOWN].T.numpy(), ",", color="C0")
                panel.plot(*torch.tensor(plane.law.centres).T.numpy(), "+", color="C3", markersize=4)
                panel.set(xlim=(-limit, limit), ylim=(-limit, limit), xticks=[], yticks=[], aspect="equal")
                panel.set_title(name, fontsize=7)

    what = "samples, and the centres of the modes in red: "
    lab.plot(draw, what + "; ".join(names), width=1.6 * len(names), height=1.9 * len(planes))


def ring(lab: Lab, size: Size) -> Sequence[Row]:
    plane = Plane(lab, RING)
    make = lambda game=objectives.NON_SATURATING: GAN(PLANE, latent=LATENT, hidden=size.channels, game=game)  # noqa: E731
    rows = [
        Row("non-saturating", "ours", plane.play("non-saturating", make)),
        Row("two generator updates", "ours", plane.play("two generator updates", make, generator_steps=2)),
        Row("minimax", "ablation", plane.play("minimax", partial(make, objectives.MINIMAX))),
        Row("one Gaussian", "baseline", plane.gaussian()),
        Row("the ring itself", "ceiling", plane.ceiling()),
    ]
    scatter(lab, [plane])
    return rows


def improved(lab: Lab, size: Size) -> Sequence[Row]:
    grid, rim = Plane(lab, GRID, "grid_"), Plane(lab, RING, "ring_")

    def make(**techniques: Any) -> ImprovedGAN:
        *hidden, features = size.channels
        trunk = ShapedMLP(PLANE, (features,), hidden=hidden, activation=leaky_relu)
        return ImprovedGAN(
            PLANE,
            generator=MLPGenerator(PLANE, latent=LATENT, hidden=size.channels),
            trunk=nn.Sequential(trunk, leaky_relu()),
            features=features,
            **techniques,
        )

    with_minibatch = partial(make, minibatch_kernels=16)
    others: dict[str, dict[str, Any]] = {
        "historical averaging": {"historical_averaging": 1e-3},
        "label smoothing": {"label_smoothing": 0.1},
        "feature matching": {"feature_matching": True},
    }
    on_both: list[tuple[str, Role, Callable[[Plane], dict[str, float]]]] = [
        ("none of them", "ablation", lambda plane: plane.play("none of them", make)),
        ("one Gaussian", "baseline", Plane.gaussian),
        ("the laws themselves", "ceiling", Plane.ceiling),
    ]
    name = "minibatch discrimination"
    rows = [Row(name, "ours", grid.play(name, with_minibatch) | rim.play(name, with_minibatch))]
    # the other techniques are not for modes: on the grid alone
    rows += [Row(name, "ours", grid.play(name, partial(make, **given))) for name, given in others.items()]
    rows += [Row(name, role, measure(grid) | measure(rim)) for name, role, measure in on_both]
    scatter(lab, [grid, rim])
    return rows


def penalties(lab: Lab, size: Size) -> Sequence[Row]:
    planes = [Plane(lab, RING, "ring_"), Plane(lab, GRID, "grid_")]

    def players() -> dict[str, Any]:
        return {
            "generator": MLPGenerator(PLANE, latent=LATENT, hidden=size.channels),
            "critic": MLPCritic(PLANE, hidden=size.channels, activation=leaky_relu, normalise=False),
        }

    def both(measure: Callable[[Plane], dict[str, float]]) -> dict[str, float]:
        first, second = (measure(plane) for plane in planes)
        return first | second

    wasserstein = lambda penalty: WGANGP(PLANE, penalty=penalty, **players())  # noqa: E731
    smooth = lambda penalty=1.0: DRAGAN(PLANE, penalty=penalty, **players())  # noqa: E731
    # of their own papers but for the steps, which are longer as the training is shorter, and for five updates of the
    # critic a round: in the same time, five times as many rounds of one found more modes
    penalising: dict[str, Any] = {"lr": LR, "betas": (0.0, 0.9)}
    clipping: dict[str, Any] = {"clip": CLIP, "betas": CLIPPED_BETAS, "lr": 5e-4}
    rows = [
        Row("WGAN-GP", "ours", both(lambda p: p.play("WGAN-GP", lambda: wasserstein(0.1), **penalising))),
        Row("DRAGAN", "ours", both(lambda p: p.play("DRAGAN", smooth, lr=LR))),
        Row(
            "WGAN, clipped weights",
            "ablation",
            both(lambda p: p.play("WGAN, clipped weights", lambda: wasserstein(0.0), **clipping)),
        ),
        Row("GAN", "ablation", both(lambda p: p.play("GAN", partial(smooth, 0.0), lr=LR))),
        Row("one Gaussian", "baseline", both(Plane.gaussian)),
        Row("the laws themselves", "ceiling", both(Plane.ceiling)),
    ]
    scatter(lab, planes)
    return rows


SMOKE = Size(steps=2, batch_size=16, channels=(8, 8), n_judged=48)

MODE_GAMES: dict[str, Experiment] = {
    "gan-ring": Experiment(
        about="GAN on a ring of eight Gaussians",
        paper="https://arxiv.org/abs/1406.2661",
        question="which modes does the game find, by either generator's loss and with two updates of the generator?",
        measures=OF_A_LAW,
        run=ring,
        cpu=Size(steps=10_000, batch_size=256, channels=(128, 128)),
        gpu=Size(steps=50_000, batch_size=512, channels=(128, 128), n_judged=10_000),
        smoke=SMOKE,
    ),
    "improved-gan-grid": Experiment(
        about="Improved GAN on a grid and a ring of Gaussians",
        paper="https://arxiv.org/abs/1606.03498",
        question="does a critic that sees the whole batch keep the generator from dropping modes?",
        measures=OF_TWO_LAWS,
        run=improved,
        cpu=Size(steps=3_500, batch_size=64, channels=(128, 128)),
        gpu=Size(steps=50_000, batch_size=512, channels=(128, 128), n_judged=10_000),
        smoke=SMOKE,
    ),
    "wgan-gp-grid": Experiment(
        about="WGAN-GP and DRAGAN on a ring and a grid of Gaussians",
        paper="https://arxiv.org/abs/1704.00028",
        question="does a bound on the critic's slope keep the generator from dropping modes?",
        measures=OF_TWO_LAWS,
        run=penalties,
        cpu=Size(steps=6_000, batch_size=128, channels=(128, 128)),
        gpu=Size(steps=50_000, batch_size=512, channels=(128, 128), n_judged=10_000),
        smoke=SMOKE,
    ),
}
