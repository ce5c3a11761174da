"""Domains that are related by one number or one class: does the translation keep it without being told?"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.data.glyphs import Glyphs, draw_glyphs
from benchmarks.data.recolour import on_clutter
from benchmarks.images.experiments.experiment import Experiment, Measure, Row, Size
from benchmarks.images.experiments.lab import JUDGE_SEED, LOSS_NETWORK_SEED, Lab, fixed_random
from benchmarks.images.experiments.unpaired import unpaired
from generative_core import DTN, DiscoGAN, MaximumLikelihoodStep
from generative_core.metrics import JudgeCNN, JudgeConfig, accuracy, in_batches, train_judge
from generative_core.metrics.judges import weights_sha256
from generative_core.nets.conv import ConvEncoder

MAX_ANGLE = math.radians(45)
N_SOURCE = 20_000  # coloured digits that DTN learns from
RECONSTRUCTION = 20.0  # the mean square of a letter's pixels is small beside log 2

DISCO_GAN = {
    "correlation": Measure("of the letter's angle in the translation with the input's, without its sign", "higher"),
    "error": Measure("root mean square of the angle's difference, degrees, with the better of the two signs", "lower"),
    "one to one": Measure(
        "share of the variance of the inputs' angles that the translations' angles explain", "higher"
    ),
    "spread": Measure("standard deviation of the translations' angles, by that of the inputs'", "neither"),
}


def disco_gan(lab: Lab, size: Size) -> Sequence[Row]:
    """A sans serif P and a serif F, turned by angles that have nothing to do with one another."""
    n = 4_000 if not lab.smoke else 200
    own = torch.Generator().manual_seed(lab.seed * 1_000_003 + 1)
    x, y = _letters(n, own, is_target=False), _letters(n, own, is_target=True)
    test = _letters(size.n_judged, fixed_random(3), is_target=False)
    truth = _letters(size.n_judged, fixed_random(4), is_target=True, angle=test.angle)
    unrelated = _letters(size.n_judged, fixed_random(6), is_target=True)
    read = _regressor(lab)
    lab.record("turned letters P and F", n_train=n, n_test=size.n_judged, reader_sha256=weights_sha256(read))
    x_test, angle = test.images.to(lab.device), test.angle.to(lab.device)

    rows: list[Row] = []
    pictures = [x_test[:12]]
    contenders: list[tuple[str, tuple[float, float]]] = [
        ("DiscoGAN", (RECONSTRUCTION, RECONSTRUCTION)),
        ("GAN, one reconstruction", (RECONSTRUCTION, 0.0)),
        ("GAN alone", (0.0, 0.0)),
    ]
    for name, (there, back) in contenders:
        torch.manual_seed(lab.seed)
        shape = x_test.shape[1:]
        channels = size.channels[::-1]
        model = DiscoGAN(shape, reconstruction_x=there, reconstruction_y=back, latent=32, channels=channels)
        step = lab.game(model)
        lab.train(name, step, unpaired(lab, x.images, y.images))
        made = in_batches(model.eval().translate, x_test)
        pictures.append(made[:12])
        rows.append(Row(name, "ours" if not rows else "ablation", _angles(in_batches(read, made), angle)))
    others = in_batches(read, unrelated.images.to(lab.device))
    ceiling = in_batches(read, truth.images.to(lab.device))
    lab.picture(pictures, "inputs; " + "; ".join(name for name, _ in contenders))
    return [
        *rows,
        Row("target letters at random", "baseline", _angles(others, angle)),
        Row("target letters at the same angle", "ceiling", _angles(ceiling, angle)),
    ]


def _letters(n: int, generator: torch.Generator, *, is_target: bool, angle: Tensor | None = None) -> Glyphs:
    if angle is None:
        angle = MAX_ANGLE * (2 * torch.rand(n, generator=generator) - 1)
    same = torch.ones(n)
    glyphs = draw_glyphs(
        torch.zeros(n, dtype=torch.int64),
        generator=generator,
        letters="F" if is_target else "P",
        serif=is_target,
        colour=torch.zeros(n, dtype=torch.int64),
        is_bold=torch.ones(n, dtype=torch.int64),
        slant=0 * same,
        angle=angle,
        scale=0.8 * same,
    )
    return glyphs._replace(images=glyphs.images[:, :1])  # the red channel of a red letter is its mask


class _AngleReader(nn.Module):
    """x -> the angle, radians; `loss` takes (image, angle)."""

    def __init__(self, event_shape: Sequence[int]) -> None:
        super().__init__()
        self.net = ConvEncoder(event_shape, 1, channels=(16, 32))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).squeeze(1)

    def loss(self, x: Tensor, context: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        assert context is not None
        return (self(x) - context).square()


def _regressor(lab: Lab) -> nn.Module:
    """Trained on true target letters alone, some of them blurred and faded as translations may be."""
    letters = _letters(4_000 if not lab.smoke else 200, fixed_random(5), is_target=True)
    blurred = F.avg_pool2d(letters.images, 3, stride=1, padding=1, count_include_pad=False)
    share = torch.rand(len(blurred), 1, 1, 1, generator=torch.Generator().manual_seed(JUDGE_SEED))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(JUDGE_SEED)
        reader = _AngleReader(letters.images.shape[1:]).to(lab.device)
    step = MaximumLikelihoodStep(reader, lr=2e-3, seed=JUDGE_SEED)
    images = torch.lerp(letters.images, blurred, share)
    batches = lab.batches(images, letters.angle, batch_size=64, seed=JUDGE_SEED)
    return lab.train("reader of angles", step, batches, n_steps=2 if lab.smoke else 300)


def _angles(read: Tensor, angle: Tensor) -> dict[str, float]:
    read, angle = read.cpu(), angle.cpu()
    is_constant = bool((read == read[0]).all())  # which correlates with nothing; a NaN that was read stays one
    correlation = read.new_zeros(()) if is_constant else torch.corrcoef(torch.stack([read, angle]))[0, 1]
    sign = -1 if correlation < 0 else 1
    # inputs whose translations are alike, within three degrees: a relation may be one to one and yet not straight
    alike = (read / math.radians(3)).round()
    groups = [angle[alike == value] for value in alike.unique()]
    within = sum(len(group) * group.var(correction=0).item() for group in groups) / len(angle)
    return {
        "correlation": correlation.abs().item(),
        "error": math.degrees((read - sign * angle).square().mean().sqrt().item()),
        "one to one": 1 - within / angle.var(correction=0).item(),
        "spread": (read.std() / angle.std()).item(),
    }


DTN_MEASURES = {
    "accuracy": Measure(
        "share of the translations in which a classifier of the target reads the input's digit", "higher"
    ),
    "f": Measure("mean square of f(x) - f(G(x)), by that of f(x) - f(x') for another input x'", "lower"),
}


def dtn(lab: Lab, size: Size) -> Sequence[Row]:
    """Handwritten digits in colour on clouds to printed digits; f is a classifier of the former."""
    own = torch.Generator().manual_seed(lab.seed + 31)
    data = lab.images("mnist")
    x, labels = data.events("train")[:N_SOURCE], data.labels("train")[:N_SOURCE]
    source = on_clutter(x, generator=own)
    labels_test = data.labels("test")[: size.n_judged].to(lab.device)
    source_test = on_clutter(data.events("test")[: size.n_judged], generator=fixed_random(1)).to(lab.device)
    n_target, n_test = (4_000, 1_000) if not lab.smoke else (200, 48)
    target, _ = _printed(n_target, own)
    seen, target_test = _printed(n_target, fixed_random(2)), _printed(n_test, fixed_random(3))
    judge = lab.judge("printed digits", *seen, *target_test)
    lab.record("coloured digits on clouds", n_train=len(source), n_test=len(source_test))
    lab.record("printed digits", n_train=n_target, n_judges=n_target, n_test=n_test)

    config = JudgeConfig(seed=LOSS_NETWORK_SEED, epochs=1 if lab.smoke else 3, batch_size=64)
    f = train_judge(source.to(lab.device), labels.to(lab.device), n_classes=10, config=config)

    def judged(made: Tensor) -> dict[str, float]:
        before, after = in_batches(f.features, source_test), in_batches(f.features, made)
        change = (after - before).square().mean() / (before.roll(1, 0) - before).square().mean()
        return {"accuracy": accuracy(judge.net, made, labels_test), "f": change.item()}

    rows: list[Row] = []
    pictures = [source_test[:12], target_test[0][:12].to(lab.device)]
    contenders = [("DTN", 15.0, 15.0), ("without L_CONST", 0.0, 15.0), ("without L_CONST, L_TID", 0.0, 0.0)]
    for name, const, identity in contenders:
        torch.manual_seed(lab.seed)
        model = DTN(target.shape[1:], _Features(f), const=const, identity=identity, channels=size.channels)
        step = lab.game(model, short_lr=5e-4)
        lab.train(name, step, unpaired(lab, source, target))
        made = in_batches(model.eval().translate, source_test)
        pictures.append(made[:12])
        rows.append(Row(name, "ours" if not rows else "ablation", judged(made)))
    lab.picture(pictures, "inputs; target domain; " + "; ".join(name for name, _, _ in contenders))
    return [
        *rows,
        Row("the input itself", "baseline", judged(source_test)),
        Row("f's own classes, on the input", "ceiling", {"accuracy": accuracy(f, source_test, labels_test)}),
        Row("printed digits", "ceiling", {"accuracy": judge.test_accuracy}),
    ]


class _Features(nn.Module):
    """The hidden layer of a classifier."""

    def __init__(self, classifier: JudgeCNN) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier.features(x)


def _printed(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """((n, 3, 28, 28) white on black, digit (n,))."""
    digit = torch.randint(10, (n,), generator=generator)
    upright = draw_glyphs(digit, generator=generator, letters="0123456789", colour=torch.zeros_like(digit))
    return upright.images[:, :1].repeat(1, 3, 1, 1), digit  # the red channel of a red digit is its mask


RELATED: dict[str, Experiment] = {
    "disco-gan": Experiment(
        about="DiscoGAN",
        paper="https://arxiv.org/abs/1703.05192",
        question="do reconstructions both ways make two domains agree on the angle of a letter?",
        measures=DISCO_GAN,
        run=disco_gan,
        cpu=Size(steps=1_200, batch_size=32, channels=(32, 16), n_judged=1_000),
        gpu=Size(steps=40_000, batch_size=128, channels=(128, 64)),
    ),
    "dtn": Experiment(
        about="DTN",
        paper="https://arxiv.org/abs/1611.02200",
        question="does a translation whose features must stay keep the class?",
        measures=DTN_MEASURES,
        run=dtn,
        cpu=Size(steps=1_000, batch_size=32, channels=(64, 32)),
        gpu=Size(steps=40_000, batch_size=128, channels=(256, 128)),
    ),
}
