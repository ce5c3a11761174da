"""Two equilibria: how a chain mixes between classes, and what a critic says where its game has ended."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.images.experiments.experiment import Experiment, Measure, Row, Size
from benchmarks.images.experiments.lab import JUDGE_SEED, Lab
from generative_core import GAN, GSN, AdversarialStep, Gaussian, MaximumLikelihoodStep, MLPCritic
from generative_core.adversarial.networks import leaky_relu
from generative_core.markov_chain.gsn import RandomReplacement
from generative_core.metrics import frechet_distance, in_batches
from generative_core.objectives import bce_critic_loss

SIDE = 14
BURN_IN = 100  # steps of a chain from noise that are not looked at
N_CHAINS = 10
RATE = 0.4  # of the pixels that a step replaces
N_WALKBACK = 5


def binary(x: Tensor) -> Tensor:
    """Grey images (n, 1, 28, 28) in [-1, 1] -> (n, 1, 14, 14): 1 where the mean of four pixels is above the middle."""
    return (F.avg_pool2d(x, 2) > 0).float()


def gsn(lab: Lab, size: Size) -> Sequence[Row]:
    data = lab.images()
    train, test = (binary(data.events(split)).to(lab.device) for split in ("train", "test"))
    judge = lab.judge("binary images", train, data.labels("train"), test, data.labels("test"))
    n = min(size.n_judged, len(test) // 2)
    n_steps = max(n // N_CHAINS, 2)
    n = n_steps * N_CHAINS
    fixed = torch.Generator().manual_seed(JUDGE_SEED)
    first, second = test[torch.randperm(len(test), generator=fixed).to(lab.device)][: 2 * n].chunk(2)
    reference = in_batches(judge.net.features, first)
    chains: dict[str, Tensor] = {}
    for name, n_walkback in (("GSN with walkback", N_WALKBACK), ("GSN without walkback", 1)):
        torch.manual_seed(lab.seed)
        hidden = (8 * size.channels[0],) * 2
        model = GSN(train.shape[1:], corruption=RandomReplacement(RATE), hidden=hidden, n_walkback=n_walkback)
        step = MaximumLikelihoodStep(model.to(lab.device), seed=lab.seed)
        # as many passes of the denoiser each
        lab.train(name, step, lab.batches(train), n_steps=max(size.steps // n_walkback, 1))
        start = model.sample(N_CHAINS, n_steps=2 if lab.smoke else BURN_IN, generator=lab.random(5))
        chains[name] = model.chain(start, n_steps, generator=lab.random(6))
    mean = train.mean(0).expand(n_steps, N_CHAINS, *train.shape[1:])
    chains["independent"] = torch.bernoulli(mean, generator=lab.random(8))
    held = second[:N_CHAINS].expand(n_steps, -1, -1, -1, -1)
    chains["held"], chains["real"] = held, second.unflatten(0, (n_steps, N_CHAINS))
    every = max(n_steps // 28, 1)
    lab.picture(
        [2 * chain[::every, 0][:28] - 1 for chain in chains.values()],
        f"every {every}th state of a chain of a GSN with walkback and of one without; Bernoulli draws; an image held; "
        "test images",
    )

    def judged(chain: Tensor) -> dict[str, float]:
        states = chain.flatten(0, 1)
        classes = in_batches(judge.net, states).argmax(1).view(chain.shape[:2])
        return {"FID": frechet_distance(reference, in_batches(judge.net.features, states)), **mixing(classes)}

    return [
        Row("GSN with walkback", "ours", judged(chains["GSN with walkback"])),
        Row("GSN without walkback, as many passes", "ablation", judged(chains["GSN without walkback"])),
        Row("every pixel on its own", "baseline", judged(chains["independent"])),
        Row("test images, held", "baseline", judged(chains["held"])),
        Row("test images in any order", "ceiling", judged(chains["real"])),
    ]


def mixing(classes: Tensor) -> dict[str, float]:
    """Of the classes (T, chains) that a judge gives the states: how many a chain visits, and how often it moves on."""
    entropies = []
    for chain in classes.T:
        share = chain.bincount() / len(chain)
        entropies.append(float(torch.special.entr(share).sum()))
    return {
        "entropy": sum(entropies) / len(entropies),
        "changes": float((classes[1:] != classes[:-1]).double().mean()),
    }


STD_DATA, MEAN_DATA = 1.0, 3.0
GRID = (-4.0, 10.0)  # of which the parts that either law reaches are looked at
LEAST = 0.02  # density of the mixture of both laws, as a share of its largest, below which nothing is asked of D


def gan_gaussians(lab: Lab, size: Size) -> Sequence[Row]:
    """D trained for long against a generator that rests, and both at the end of the game, on one dimension."""
    random = torch.Generator().manual_seed(lab.seed)
    data = (MEAN_DATA + STD_DATA * torch.randn(50_000, 1, generator=random)).to(lab.device)
    x = torch.linspace(*GRID, 1_401, device=lab.device)[:, None]
    resting = Gaussian((1,)).fit((1.5 * torch.randn(50_000, 1, generator=random) + 1).to(lab.device))
    n = 20 * size.n_judged
    curves: dict[str, tuple[Tensor, Tensor, Tensor]] = {}  # D, D*, where it is asked

    def against_resting(name: str, critic: Callable[[Tensor], Tensor]) -> dict[str, float]:
        return compare(name, critic, resting.log_prob(x))

    def compare(name: str, critic: Callable[[Tensor], Tensor], log_model: Tensor) -> dict[str, float]:
        log_data = -0.5 * ((x[:, 0] - MEAN_DATA) / STD_DATA).square() - math.log(STD_DATA * math.sqrt(2 * math.pi))
        with torch.no_grad():
            made = critic(x).sigmoid()
        best = (log_data - log_model).sigmoid()
        both = torch.logaddexp(log_data, log_model)
        asked = both > both.max() + math.log(LEAST)
        curves[name] = made, best, asked
        error = (made - best).abs()
        weight = both.exp() / both.exp().sum()
        return {"largest error": float(error[asked].max()), "mean error": float((weight * error).sum())}

    rows = []
    torch.manual_seed(lab.seed)
    critic = MLPCritic((1,), hidden=size.channels, activation=leaky_relu, normalise=False).to(lab.device)
    untrained = against_resting("before training", critic.logit)
    step = MaximumLikelihoodStep(_Against(critic, resting), lr=1e-3, seed=lab.seed)
    lab.train("D alone", step, lab.batches(data), model=critic)
    rows.append(Row("D, the generator at rest", "ours", against_resting("generator at rest", critic.logit)))
    for name, r1 in (("GAN with a penalty", 1.0), ("GAN", 0.0)):
        torch.manual_seed(lab.seed)
        gan = GAN((1,), latent=1, hidden=size.channels, r1=r1).to(lab.device)
        lab.train(name, AdversarialStep(gan, lr=5e-4, seed=lab.seed), lab.batches(data))
        with torch.no_grad():
            samples = gan.sample(n, generator=lab.random(7))
            is_data = gan.critic.logit(samples).sigmoid()
        values = compare(name, gan.critic.logit, log_density(samples[:, 0], x[:, 0]))
        moments = {
            "D at samples": float(is_data.mean()),
            "from 1/2": float((is_data - 0.5).abs().mean()),
            "mean": float(samples.mean()),
            "std": float(samples.std()),
        }
        rows.append(Row(f"{name}, at the end of the game", "ours" if r1 else "ablation", values | moments))
    _plot(lab, x[:, 0], curves)
    constant = against_resting("1/2", lambda x: torch.zeros(len(x), device=x.device))
    return [
        *rows,
        Row("D before training", "baseline", untrained),
        Row("1/2 everywhere", "baseline", constant | {"D at samples": 0.5, "from 1/2": 0.0}),
        Row(
            "D*, the data as samples",
            "ceiling",
            {"largest error": 0.0, "mean error": 0.0, "D at samples": 0.5, "from 1/2": 0.0}
            | {"mean": MEAN_DATA, "std": STD_DATA},
        ),
    ]


class _Against(nn.Module):
    """A critic whose loss is the cross-entropy of telling x from draws of a law that does not move."""

    def __init__(self, critic: MLPCritic, law: Gaussian) -> None:
        super().__init__()
        self.critic = critic
        self.law = law.requires_grad_(False)

    def loss(self, x: Tensor, context: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        drawn = self.law.sample(len(x), generator=generator)
        return bce_critic_loss(self.critic.logit(x), self.critic.logit(drawn)).expand(len(x))


def log_density(samples: Tensor, x: Tensor) -> Tensor:
    """log of a Gaussian kernel estimate from samples (n,) at x (m,), its width by Silverman's rule."""
    width = 1.06 * samples.std().clamp_min(1e-3) * len(samples) ** -0.2
    square = ((x[:, None] - samples[None]) / width).square()
    return torch.logsumexp(-0.5 * square, dim=1) - math.log(len(samples)) - torch.log(width * math.sqrt(2 * math.pi))


def _plot(lab: Lab, x: Tensor, curves: dict[str, tuple[Tensor, Tensor, Tensor]]) -> None:
    shown = {name: curve for name, curve in curves.items() if name not in ("before training", "1/2")}

    def draw(figure: Any) -> None:
        for panel, (name, (made, best, asked)) in zip(
            figure.subplots(1, len(shown), sharey=True), shown.items(), strict=True
        ):
            place = x.cpu().numpy()
            panel.plot(place, best.cpu().numpy(), color="C3", label="p_d / (p_d + p_g)")
            panel.plot(place, made.cpu().numpy(), "--", color="C0", label="D")
            panel.fill_between(place, 0, asked.cpu().float().numpy(), color="0.9")
            panel.set(title=name, ylim=(0, 1), xlabel="x")
        panel.legend(fontsize=7)

    lab.plot(
        draw,
        "D of " + ", ".join(shown) + " and the best one, p_d / (p_d + p_g); the errors are those where it is grey",
        width=9,
    )


CHAINS: dict[str, Experiment] = {
    "gsn": Experiment(
        about="Generative stochastic network",
        paper="https://arxiv.org/abs/1305.6663",
        question="does a chain of a denoiser stay near the data and move between classes, and what does walkback add?",
        measures={
            "FID": Measure("Fréchet distance of the chains' states to test images, judge's features", "lower"),
            "entropy": Measure("of the judge's classes over a chain's time, nats; log 10 = 2.3 where even", "higher"),
            "changes": Measure("share of the steps to a state of another class", "neither"),
        },
        run=gsn,
        cpu=Size(steps=4_000, batch_size=100),
        gpu=Size(steps=100_000, batch_size=100, channels=(256, 128), n_judged=5_000),
    ),
    "gan-gaussians": Experiment(
        about="A critic against the best one, on Gaussians",
        paper="https://arxiv.org/abs/1406.2661",
        question="is a trained D the ratio p_d / (p_d + p_g), and is it 1/2 where the game ends?",
        measures={
            "largest error": Measure("of D to p_d / (p_d + p_g), where the laws reach", "lower"),
            "mean error": Measure("the same, the mean over both laws", "lower"),
            "D at samples": Measure("mean of D over the generator's samples; 1/2 at the equilibrium", "neither"),
            "from 1/2": Measure("mean distance of D from 1/2 there", "lower"),
            "mean": Measure(f"of the samples, {MEAN_DATA:g} is right", "neither"),
            "std": Measure(f"of the samples, {STD_DATA:g} is right", "neither"),
        },
        run=gan_gaussians,
        cpu=Size(steps=8_000, batch_size=256, channels=(64, 64), n_judged=200),
        gpu=Size(steps=50_000, batch_size=512, channels=(128, 128)),
        smoke=Size(steps=2, batch_size=16, channels=(8, 8), n_judged=48),
    ),
}
