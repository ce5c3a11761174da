"""From noise to images along a path: EDM and flow matching, by the number of calls of their network."""

from collections.abc import Sequence

import torch
from torch import Tensor

from benchmarks.images.experiments.experiment import Experiment, Measure, Role, Row, Size
from benchmarks.images.experiments.judging import (
    SAMPLES,
    ImageTask,
    gaussian_samples,
    image_task,
    judge_samples,
    real_samples,
)
from benchmarks.images.experiments.lab import Lab
from generative_core import (
    DCGAN,
    EDM,
    AdversarialStep,
    Churn,
    ClassConditionalGaussian,
    ConditionalGAN,
    FlowMatching,
    MaximumLikelihoodStep,
    euler_step,
    linear_decay,
    midpoint_step,
)
from generative_core.diffusion.edm import sigma_levels
from generative_core.diffusion.flow_matching import Path, StraightPath, TrigonometricPath
from generative_core.diffusion.solvers import solve
from generative_core.metrics import accuracy
from generative_core.nets.time_unet import TimeUNet

N_SHOWN = 12
CALLS = Measure("calls of the network for one sample", "lower")
ASKED = Measure("share of samples in which the judge sees the class that was asked for", "higher")


def unet(size: Size, event_shape: Sequence[int], *, context_features: int = 0) -> TimeUNet:
    """A U-Net whose lowest maps are 7 x 7: two sizes on patches of 2 x 2 pixels, or three on the pixels themselves."""
    channels = size.channels[::-1]
    patch = 4 // 2 ** (len(channels) - 1)
    return TimeUNet(event_shape, channels=channels, context_features=context_features, patch=patch)


# -- EDM ---------------------------------------------------------------------------------------------------------------


def edm(lab: Lab, size: Size) -> Sequence[Row]:
    task = image_task(lab)
    contexts = task.data.contexts("train").to(lab.device)
    asked = task.data.labels("test")[: task.n].to(lab.device)
    context = torch.eye(task.data.n_classes, device=lab.device)[asked]

    torch.manual_seed(lab.seed)
    n_classes = task.data.n_classes
    model = EDM(
        task.data.event_shape,
        net=unet(size, task.data.event_shape, context_features=n_classes),
        context_features=n_classes,
        sigma_data=float(task.train.std()),
    ).to(lab.device)
    step = MaximumLikelihoodStep(model, lr=2e-3, schedule=linear_decay(size.steps), max_grad_norm=1.0, seed=lab.seed)
    trained = lab.train("EDM", step, lab.batches(task.train, contexts), ema=0.995)
    assert isinstance(trained, EDM)
    gan = ConditionalGAN(task.data.event_shape, context_features=n_classes, channels=(64, 32)).to(lab.device)
    adversarial = AdversarialStep(gan, seed=lab.seed)
    lab.train("conditional GAN", adversarial, lab.batches(task.train, contexts))
    gaussian = ClassConditionalGaussian(task.data.event_shape, n_classes=n_classes)
    gaussian.fit(task.train, task.data.labels("train").to(lab.device))

    drawn: dict[str, Tensor] = {}
    rows: list[Row] = []

    def judge(name: str, role: Role, samples: Tensor, calls: int) -> None:
        drawn[name] = samples.clamp(-1, 1)
        measured = {"asked": accuracy(task.judge.net, drawn[name], asked), "calls": float(calls)}
        rows.append(Row(name, role, judge_samples(task, drawn[name]) | measured))

    with torch.no_grad():
        for n in step_counts(lab, size):
            samples = trained.sample(task.n, context, generator=lab.random(7), n_steps=n)
            judge(f"EDM, {n} Heun steps", "ours", samples, 2 * n - 1)
        n = step_counts(lab, size)[-1]
        churn = Churn(amount=10.0, sigma_low=0.05, sigma_high=10.0, inflation=1.003)
        samples = trained.sample(task.n, context, generator=lab.random(7), n_steps=n, churn=churn)
        judge(f"EDM, {n} Heun steps with fresh noise", "ours", samples, 2 * n - 1)
        judge("EDM, Euler steps of as many calls", "ablation", euler(lab, trained, context, 2 * n - 1), 2 * n - 1)
        judge("conditional GAN", "baseline", gan.sample(task.n, context, generator=lab.random(7)), 1)
        judge("a Gaussian a class", "baseline", gaussian.sample(task.n, context, generator=lab.random(91)), 1)
    labels = task.data.labels("test")[task.n : 2 * task.n].to(lab.device)
    held_out = task.test[task.n : 2 * task.n]
    ceiling = real_samples(task) | {"asked": accuracy(task.judge.net, held_out, labels)}
    lab.picture(
        [task.test[:N_SHOWN], *(samples[:N_SHOWN] for samples in drawn.values())],
        f"test images, whose classes the other rows were asked for; {'; '.join(drawn)}",
    )
    return [*rows, Row("real images", "ceiling", ceiling)]


def euler(lab: Lab, model: EDM, context: Tensor, n_steps: int) -> Tensor:
    """The deterministic sampler without Heun's correction."""
    levels = sigma_levels(n_steps, sigma_min=model.sigma_min, sigma_max=model.sigma_max).to(context)
    shape = (len(context), *model.event_shape)
    noise = torch.randn(shape, generator=lab.random(7), device=context.device)

    def slope(x: Tensor, sigma: Tensor) -> Tensor:
        return (x - model.denoise(x, sigma.expand(len(x)), context)) / sigma

    return solve(slope, levels[0] * noise, levels, euler_step)


def step_counts(lab: Lab, size: Size) -> tuple[int, ...]:
    """Of the curve; an accelerator has the time for the last one."""
    if lab.smoke:
        return (2, 4)
    return (4, 8, 16) if len(size.channels) < 3 else (4, 8, 16, 32)


# -- flow matching -----------------------------------------------------------------------------------------------------


def flow_matching(lab: Lab, size: Size) -> Sequence[Row]:
    task = image_task(lab)
    paths: dict[str, Path] = {"straight paths": StraightPath(), "curved paths": TrigonometricPath()}
    models: dict[str, FlowMatching] = {}
    for name, path in paths.items():
        torch.manual_seed(lab.seed)
        net = unet(size, task.data.event_shape)
        model = FlowMatching(task.data.event_shape, net=net, path=path).to(lab.device)
        decay = linear_decay(size.steps)
        step = MaximumLikelihoodStep(model, lr=2e-3, schedule=decay, max_grad_norm=1.0, seed=lab.seed)
        trained = lab.train(f"flow matching, {name}", step, lab.batches(task.train), ema=0.995)
        assert isinstance(trained, FlowMatching)
        models[name] = trained
    torch.manual_seed(lab.seed)
    gan = DCGAN(task.data.event_shape, channels=(64, 32)).to(lab.device)
    lab.train("DCGAN", AdversarialStep(gan, seed=lab.seed), lab.batches(task.train))

    rows: list[Row] = []
    drawn: dict[str, Tensor] = {}
    for name, trained in models.items():
        for n in step_counts(lab, size):
            samples = draw(lab, task, trained, n)
            drawn[f"{name}, {n} midpoint steps"] = samples
            role: Role = "ours" if name == "straight paths" else "ablation"
            rows.append(Row(f"{name}, {n} midpoint steps", role, judge_samples(task, samples) | {"calls": 2.0 * n}))
    n = 2 * step_counts(lab, size)[1]
    samples = draw(lab, task, models["straight paths"], n, is_euler=True)
    rows.append(Row(f"straight paths, {n} Euler steps", "ours", judge_samples(task, samples) | {"calls": float(n)}))
    with torch.no_grad():
        samples = gan.sample(task.n, generator=lab.random(7))
    rows.append(Row("DCGAN", "baseline", judge_samples(task, samples) | {"calls": 1.0}))
    rows.append(Row("a Gaussian a class", "baseline", gaussian_samples(lab, task)))
    rows.append(Row("real images", "ceiling", real_samples(task)))
    lab.picture(
        [task.test[:N_SHOWN], *(part[:N_SHOWN] for part in drawn.values()), samples[:N_SHOWN]],
        f"test images; {'; '.join(drawn)}; DCGAN",
    )
    return rows


def draw(lab: Lab, task: ImageTask, model: FlowMatching, n_steps: int, *, is_euler: bool = False) -> Tensor:
    solver = euler_step if is_euler else midpoint_step
    return model.sample(task.n, generator=lab.random(7), n_steps=n_steps, solver=solver).clamp(-1, 1)


DIFFUSION: dict[str, Experiment] = {
    "edm": Experiment(
        about="EDM: a preconditioned denoiser and its Heun samplers, told the class",
        paper="https://arxiv.org/abs/2206.00364",
        question="in how many calls does a denoiser make better images than a GAN of as many updates?",
        measures=SAMPLES | {"asked": ASKED, "calls": CALLS},
        run=edm,
        cpu=Size(steps=1_200, channels=(32, 16), n_judged=1_000),
        gpu=Size(steps=40_000, batch_size=128, channels=(256, 128, 64), n_judged=5_000),
    ),
    "flow-matching": Experiment(
        about="flow matching on the optimal-transport path",
        paper="https://arxiv.org/abs/2210.02747",
        question="do straight paths need fewer calls of the network than curved ones for images of one quality?",
        measures=SAMPLES | {"calls": CALLS},
        run=flow_matching,
        cpu=Size(steps=600, channels=(32, 16), n_judged=1_000),
        gpu=Size(steps=40_000, batch_size=128, channels=(256, 128, 64), n_judged=5_000),
    ),
}
