"""Games around x = G(z) on images: each beside itself without what its paper argues for."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.images.experiments.experiment import Experiment, Measure, Row, Size
from benchmarks.images.experiments.judging import (
    SAMPLES,
    ImageTask,
    gaussian_samples,
    image_task,
    judge_samples,
    real_samples,
)
from benchmarks.images.experiments.lab import Lab
from generative_core import DCGAN, DRAGAN, GAN, WGANGP, AbstractTwoPlayer, AdversarialStep, HingeGAN, ImprovedGAN
from generative_core.adversarial.networks import ConvCritic
from generative_core.metrics import in_batches, tstr

CLIP = 0.01  # of the weights in the paper that WGAN-GP answers: https://arxiv.org/abs/1701.07875
CLIPPED_BETAS = (0.0, 0.99)  # Adam without momentum is that paper's RMSprop, but for the correction of its first steps
N_PROBE = 1_000  # labelled events of the linear classifier
N_REFERENCE = 64

PROBE = Measure("accuracy on test images of a linear classifier with 1 000 labels, on features or raw pixels", "higher")


class Contest:
    """Contenders on the same images from the same seed: their rows, and a strip of samples of each."""

    def __init__(self, lab: Lab, task: ImageTask | None = None) -> None:
        self.lab = lab
        self.task = task or image_task(lab)
        self.strips: dict[str, Tensor] = {"test images": self.task.test[:12]}

    def play(self, name: str, make: Callable[[], AbstractTwoPlayer], *, clip: float = 0.0, **settings: Any) -> Any:
        """Train one; `settings` are those of `Lab.game`.  `clip` > 0 bounds the critic's parameters."""
        torch.manual_seed(self.lab.seed)
        step = self.lab.game(make(), **settings)
        if clip:
            clip_critic(step, clip)
        return self.lab.train(name, step, self.lab.batches(self.task.train))

    @torch.no_grad()
    def judge(self, name: str, model: Any) -> dict[str, float]:
        drawn = model.sample(self.task.n, generator=self.lab.random(7))
        self.strips[name] = drawn[:12]
        return judge_samples(self.task, drawn)

    def bounds(self) -> list[Row]:
        """The trivial way and the ceiling; draws the picture, since they come last."""
        self.lab.picture(list(self.strips.values()), "; ".join(self.strips))
        return [
            Row("a Gaussian a class", "baseline", gaussian_samples(self.lab, self.task)),
            Row("real images", "ceiling", real_samples(self.task)),
        ]

    def probe(self, features: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """`PROBE` of frozen features."""
        task, n = self.task, min(N_PROBE, len(self.task.train))
        labels, labels_test = task.data.labels("train")[:n], task.data.labels("test")[: 2 * task.n]
        seen, unseen = (in_batches(features, x) for x in (task.train[:n], task.test[: 2 * task.n]))
        return {"probe": tstr(seen, labels, unseen, labels_test)}


def dcgan(lab: Lab, size: Size) -> Sequence[Row]:
    contest = Contest(lab)
    shape = contest.task.data.event_shape
    width = 8 * size.channels[0]
    hidden = (width, width)
    untrained: Any = DCGAN(shape, channels=size.channels).to(lab.device).eval()
    conv = contest.play("DCGAN", lambda: DCGAN(shape, channels=size.channels))
    dense = contest.play("GAN of perceptrons", lambda: GAN(shape, latent=100, hidden=hidden, output_activation=nn.Tanh))
    return [
        Row("DCGAN", "ours", contest.judge("DCGAN", conv) | contest.probe(conv.critic.embed)),
        Row("GAN of perceptrons", "ablation", contest.judge("GAN of perceptrons", dense)),
        Row("the critic, untrained", "ablation", contest.probe(untrained.critic.embed)),
        Row("raw pixels", "baseline", contest.probe(lambda x: x.flatten(1))),
        *contest.bounds(),
    ]


def wgan_gp(lab: Lab, size: Size) -> Sequence[Row]:
    contest = Contest(lab)
    shape = contest.task.data.event_shape
    make = lambda penalty: WGANGP(shape, channels=size.channels, penalty=penalty)  # noqa: E731
    penalised = contest.play("WGAN-GP", lambda: make(10.0), lr=1e-4, short_lr=5e-4, critic_steps=5, betas=(0.0, 0.9))
    # each by the settings of its own paper, which for clipped weights has a smaller step and no momentum; it differs
    # from that paper in the critic, which has no batch norm here, so that the bound is all that tells the two apart
    clipped = contest.play(
        "weights clipped",
        lambda: make(0.0),
        clip=CLIP,
        lr=5e-5,
        short_lr=2.5e-4,
        critic_steps=5,
        betas=CLIPPED_BETAS,
    )
    return [
        Row("WGAN-GP", "ours", contest.judge("WGAN-GP", penalised)),
        Row("weights clipped", "ablation", contest.judge("weights clipped", clipped)),
        *contest.bounds(),
    ]


def clip_critic(step: AdversarialStep, limit: float) -> None:
    """From now on the critic's parameters lie in [-limit, limit] after each of its updates."""

    @torch.no_grad()
    def clip(*_: Any) -> None:
        for parameter in step.model.critic.parameters():
            parameter.clamp_(-limit, limit)

    step.optimisers["critic"].register_step_post_hook(clip)


def hinge_gan(lab: Lab, size: Size) -> Sequence[Row]:
    contest = Contest(lab)
    shape = contest.task.data.event_shape

    def unbounded() -> HingeGAN:
        critic = ConvCritic(shape, channels=size.channels[::-1])
        return HingeGAN(shape, channels=size.channels, critic=critic)

    bounded = contest.play("spectral norm", lambda: HingeGAN(shape, channels=size.channels))
    free = contest.play("no spectral norm", unbounded)
    return [
        Row("spectral norm", "ours", contest.judge("spectral norm", bounded)),
        Row("no spectral norm", "ablation", contest.judge("no spectral norm", free)),
        *contest.bounds(),
    ]


def dragan(lab: Lab, size: Size) -> Sequence[Row]:
    contest = Contest(lab)
    shape = contest.task.data.event_shape
    with_penalty = contest.play("DRAGAN", lambda: DRAGAN(shape, channels=size.channels))
    without = contest.play("no penalty", lambda: DRAGAN(shape, channels=size.channels, penalty=0.0))
    return [
        Row("DRAGAN", "ours", contest.judge("DRAGAN", with_penalty)),
        Row("no penalty", "ablation", contest.judge("no penalty", without)),
        *contest.bounds(),
    ]


def improved_gan(lab: Lab, size: Size) -> Sequence[Row]:
    contest = Contest(lab)
    shape = contest.task.data.event_shape
    contenders: dict[str, dict[str, Any]] = {
        "minibatch discrimination": {"minibatch_kernels": 32},
        "feature matching": {"feature_matching": True},
        "virtual batch norm": {"virtual_batch_norm": N_REFERENCE},
        "minibatch, smoothing, virtual norm": {
            "minibatch_kernels": 32,
            "label_smoothing": 0.1,
            "virtual_batch_norm": N_REFERENCE,
        },
        "none of them": {},
    }
    rows = []
    for name, techniques in contenders.items():
        model = contest.play(name, lambda: ImprovedGAN(shape, channels=size.channels, **techniques))  # noqa: B023
        rows.append(Row(name, "ours" if techniques else "ablation", contest.judge(name, model)))
    return [*rows, *contest.bounds()]


GPU = Size(steps=40_000, batch_size=64, channels=(256, 128, 64), n_judged=5_000)
DEEP = (128, 64, 32)  # of generators whose maps start at 3 x 3: a level more is worth more than half the batch


def cpu(steps: int) -> Size:
    """What two cores bear."""
    return Size(steps=steps, batch_size=32, channels=DEEP)


UNCONDITIONAL: dict[str, Experiment] = {
    "dcgan": Experiment(
        about="DCGAN",
        paper="https://arxiv.org/abs/1511.06434",
        question="do strided convolutions with batch norm make better images than perceptrons, and a critic's features "
        "better classifiers than pixels?",
        measures={**SAMPLES, "probe": PROBE},
        run=dcgan,
        cpu=cpu(2_500),
        gpu=Size(steps=40_000, batch_size=128, channels=(256, 128, 64), n_judged=5_000),
    ),
    "wgan-gp": Experiment(
        about="WGAN-GP",
        paper="https://arxiv.org/abs/1704.00028",
        question="is a penalty on the critic's slope better than clipped weights?",
        measures=SAMPLES,
        run=wgan_gp,
        cpu=cpu(500),
        gpu=GPU,
    ),
    "hinge-gan": Experiment(
        about="hinge GAN with spectral normalisation",
        paper="https://arxiv.org/abs/1802.05957",
        question="does a critic whose layers are 1-Lipschitz make better images?",
        measures=SAMPLES,
        run=hinge_gan,
        cpu=cpu(2_500),
        gpu=GPU,
    ),
    "dragan": Experiment(
        about="DRAGAN",
        paper="https://arxiv.org/abs/1705.07215",
        question="does a critic that is smooth around the data make better images?",
        measures=SAMPLES,
        run=dragan,
        cpu=cpu(1_500),
        gpu=GPU,
    ),
    "improved-gan-images": Experiment(
        about="Improved GAN",
        paper="https://arxiv.org/abs/1606.03498",
        question="what does each technique do to the images?",
        measures=SAMPLES,
        run=improved_gan,
        cpu=cpu(1_000),
        gpu=GPU,
    ),
}
