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
from benchmarks.images.experiments.unconditional import UNCONDITIONAL
from generative_core import (
    DCGAN,
    EDM,
    Churn,
    FlowMatching,
    MaximumLikelihoodStep,
    euler_step,
    linear_decay,
    midpoint_step,
)
from generative_core.diffusion.edm import sigma_levels
from generative_core.diffusion.flow_matching import Path, StraightPath, TrigonometricPath
from generative_core.diffusion.solvers import solve
from generative_core.nets.time_unet import TimeUNet

N_SHOWN = 12
CALLS = Measure("calls of the network for one sample", "lower")
EMA = 0.995  # of the denoisers' parameters
HEUN_STEPS, MIDPOINT_STEPS = (4, 8, 16), (1, 2, 4, 8)


def unet(size: Size, event_shape: Sequence[int]) -> TimeUNet:
    """A U-Net whose lowest maps are 7 x 7: two sizes on patches of 2 x 2 pixels, or three on the pixels themselves."""
    channels = size.channels[::-1]
    patch = 4 // 2 ** (len(channels) - 1)
    return TimeUNet(event_shape, channels=channels, patch=patch)


# -- EDM ---------------------------------------------------------------------------------------------------------------


def edm(lab: Lab, size: Size) -> Sequence[Row]:
    task = image_task(lab)
    torch.manual_seed(lab.seed)
    net = unet(size, task.data.event_shape)
    model = EDM(task.data.event_shape, net=net, sigma_data=float(task.train.std())).to(lab.device)
    step = MaximumLikelihoodStep(model, lr=2e-3, schedule=linear_decay(size.steps), max_grad_norm=1.0, seed=lab.seed)
    trained = lab.train("EDM", step, lab.batches(task.train), ema=EMA)
    assert isinstance(trained, EDM)
    gan = train_dcgan(lab, size, task)

    drawn: dict[str, Tensor] = {}
    rows: list[Row] = []

    def judge(name: str, role: Role, samples: Tensor, calls: int) -> None:
        drawn[name] = samples.clamp(-1, 1)
        rows.append(Row(name, role, judge_samples(task, drawn[name]) | {"calls": float(calls)}))

    with torch.no_grad():
        for n in step_counts(lab, HEUN_STEPS)[::-1]:
            samples = trained.sample(task.n, generator=lab.random(7), n_steps=n)
            judge(f"EDM, {n} Heun steps", "ours", samples, 2 * n - 1)
        n = step_counts(lab, HEUN_STEPS)[-1]
        churn = Churn(amount=10.0, sigma_low=0.05, sigma_high=10.0, inflation=1.003)
        samples = trained.sample(task.n, generator=lab.random(7), n_steps=n, churn=churn)
        judge(f"EDM, {n} Heun steps with fresh noise", "ours", samples, 2 * n - 1)
        judge("EDM, Euler steps of as many calls", "ablation", euler(lab, trained, task.n, 2 * n - 1), 2 * n - 1)
        judge("DCGAN", "baseline", gan.sample(task.n, generator=lab.random(7)), 1)
    lab.picture(
        [task.test[:N_SHOWN], *(samples[:N_SHOWN] for samples in drawn.values())],
        f"test images; {'; '.join(drawn)}",
    )
    return [
        *rows,
        Row("a Gaussian a class", "baseline", gaussian_samples(lab, task)),
        Row("real images", "ceiling", real_samples(task)),
    ]


def train_dcgan(lab: Lab, size: Size, task: ImageTask) -> DCGAN:
    """What is compared with: the networks and updates of the experiment `dcgan` at the same preset, from the run's
    seed."""
    torch.manual_seed(lab.seed)
    presets = UNCONDITIONAL["dcgan"]
    if not lab.smoke:
        size = presets.cpu if size.steps < presets.gpu.steps else presets.gpu
    gan = DCGAN(task.data.event_shape, channels=size.channels)
    batches = lab.batches(task.train, batch_size=size.batch_size)
    trained = lab.train("DCGAN", lab.game(gan, n_steps=size.steps), batches, n_steps=size.steps)
    assert isinstance(trained, DCGAN)
    return trained


def euler(lab: Lab, model: EDM, n: int, n_steps: int) -> Tensor:
    """The deterministic sampler without Heun's correction."""
    noise = torch.randn(n, *model.event_shape, generator=lab.random(7), device=lab.device)
    levels = sigma_levels(n_steps, sigma_min=model.sigma_min, sigma_max=model.sigma_max).to(noise)

    def slope(x: Tensor, sigma: Tensor) -> Tensor:
        return (x - model.denoise(x, sigma.expand(len(x)))) / sigma

    return solve(slope, levels[0] * noise, levels, euler_step)


def step_counts(lab: Lab, counts: tuple[int, ...]) -> tuple[int, ...]:
    """Of the curve; beyond 16 steps neither sampler gained anything."""
    return (2, 4) if lab.smoke else counts


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
        trained = lab.train(f"flow matching, {name}", step, lab.batches(task.train), ema=EMA)
        assert isinstance(trained, FlowMatching)
        models[name] = trained
    gan = train_dcgan(lab, size, task)

    rows: list[Row] = []
    drawn: dict[str, Tensor] = {}
    for name, trained in models.items():
        for n in step_counts(lab, MIDPOINT_STEPS)[::-1]:
            samples = draw(lab, task, trained, n)
            drawn[f"{name}, {n} midpoint steps"] = samples
            role: Role = "ours" if name == "straight paths" else "ablation"
            rows.append(Row(f"{name}, {n} midpoint steps", role, judge_samples(task, samples) | {"calls": 2.0 * n}))
    n = 2 * step_counts(lab, MIDPOINT_STEPS)[1]
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
        about="EDM: a preconditioned denoiser and its Heun samplers",
        paper="https://arxiv.org/abs/2206.00364",
        question="in how many calls does a denoiser make better images than DCGAN, which needs one?",
        measures=SAMPLES | {"calls": CALLS},
        run=edm,
        cpu=Size(steps=1_500, channels=(32, 16), n_judged=1_000),
        gpu=Size(steps=40_000, batch_size=128, channels=(256, 128, 64), n_judged=5_000),
    ),
    "flow-matching": Experiment(
        about="flow matching on the optimal-transport path",
        paper="https://arxiv.org/abs/2210.02747",
        question="do straight paths need fewer calls of the network than curved ones for images of one quality?",
        measures=SAMPLES | {"calls": CALLS},
        run=flow_matching,
        cpu=Size(steps=800, channels=(32, 16), n_judged=1_000),
        gpu=Size(steps=40_000, batch_size=128, channels=(256, 128, 64), n_judged=5_000),
    ),
}
