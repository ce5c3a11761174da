"""Style and texture: Gram matrices come down while what is shown stays, in one pass and by moving pixels.

There is no pretrained network here.  Features are those of small classifiers of printed letters on clouds, which none
of these experiments translates: one for the losses, and another for judgement, with another seed and architecture.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.data.glyphs import COLOURS, LETTERS, draw_glyphs
from benchmarks.data.photos import crops
from benchmarks.data.recolour import on_clutter
from benchmarks.images.experiments.experiment import Experiment, Measure, Row, Size
from benchmarks.images.experiments.lab import JUDGE_SEED, LOSS_NETWORK_SEED, Lab, fixed_random
from benchmarks.images.experiments.unpaired import unpaired
from generative_core import AdversarialStep, MarkovianGAN, MaximumLikelihoodStep, StyleTransfer
from generative_core.metrics import accuracy, in_batches
from generative_core.nets.resnet import ResNetTranslator
from generative_core.translation.perceptual import content_distance, gram_matrix, total_variation

N_CLOUDED = 20_000  # images that the judge of articles on clouds learns from
CONTENT_WEIGHT, STYLE_WEIGHT, TV_WEIGHT = 1.0, 0.5, 1.0


class Seeing(nn.Module):
    """x (B, 3, H, W) -> maps after each of three convolutions, of the image's side, a half and a quarter of it.

    `loss` takes (image, one-hot class), the letter and its colour, and reads the means of the last maps.
    """

    def __init__(self, *, channels: Sequence[int], kernel: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        n_in = 3
        for i, n_out in enumerate(channels):
            conv = nn.Conv2d(n_in, n_out, kernel, stride=min(i + 1, 2), padding=kernel // 2)
            self.layers.append(nn.Sequential(conv, nn.BatchNorm2d(n_out), nn.ReLU()))
            n_in = n_out
        self.head = nn.Linear(n_in, len(LETTERS) * len(COLOURS))

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for layer in self.layers:
            x = layer(x)
            maps.append(x)
        return maps

    def loss(self, x: Tensor, context: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        assert context is not None
        return F.cross_entropy(self.head(self(x)[-1].mean((2, 3))), context, reduction="none")


def seeing(lab: Lab, seed: int, *, channels: Sequence[int], kernel: int = 3) -> nn.Module:
    """A trained one."""
    random = torch.Generator().manual_seed(seed)
    letter = torch.randint(len(LETTERS), (2_000 if not lab.smoke else 100,), generator=random)
    glyphs = draw_glyphs(letter, generator=random)
    ink = (glyphs.images + 1).amax(1, keepdim=True) / 2
    clouds = on_clutter(-torch.ones_like(ink), generator=random)  # the clouds alone
    label = F.one_hot(letter * len(COLOURS) + glyphs.colour, len(LETTERS) * len(COLOURS)).float()
    images = torch.lerp(clouds, 2 * COLOURS[glyphs.colour][:, :, None, None] - 1, ink)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Seeing(channels=channels, kernel=kernel).to(lab.device)
    step = MaximumLikelihoodStep(net, lr=3e-3, seed=seed)
    n_steps = 2 if lab.smoke else 600
    return lab.train(f"features {seed}", step, lab.batches(images, label), n_steps=n_steps)


def _loss_network(lab: Lab) -> nn.Module:
    return seeing(lab, LOSS_NETWORK_SEED, channels=(16, 32, 48))


def _judging_network(lab: Lab) -> nn.Module:
    return seeing(lab, JUDGE_SEED, channels=(12, 24, 48), kernel=5)


@torch.no_grad()
def _seen(net: nn.Module, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The deepest maps and the Gram matrices of all."""
    maps = net(x)
    return maps[-1], [gram_matrix(layer) for layer in maps]


STYLE = {
    "Gram, judged": Measure(
        "distance of its Gram matrices to the style's in a network that no loss knows, by that of noise", "lower"
    ),
    "content": Measure("distance of the loss network's deep maps to the input's, by that of noise", "lower"),
    "Gram": Measure("distance of its Gram matrices to the style's in the loss network, by that of noise", "lower"),
    "accuracy": Measure(
        "of a classifier of articles in any colour on clouds of any colour, lighter or darker than these", "higher"
    ),
    "roughness": Measure("total variation, by that of the style", "neither"),
    "seconds": Measure("a hundred images", "lower"),
}


def style_transfer(lab: Lab, size: Size) -> Sequence[Row]:
    """Grey articles in the style of a crop of petals."""
    data = lab.images()
    train, test, labels = data.events("train"), data.events("test"), data.labels("test").to(lab.device)
    # a style changes the colours and the background, and may turn light to dark: none of it must fool the judge
    clouded, clouded_test = (_in_any_colours(x, fixed_random(k)) for k, x in enumerate((train[:N_CLOUDED], test)))
    judge = lab.judge("articles on clouds", clouded, data.labels("train")[:N_CLOUDED], clouded_test, labels)
    test, labels = test[: size.n_judged].to(lab.device), labels[: size.n_judged]
    net, other = _loss_network(lab), _judging_network(lab)
    fixed = torch.Generator().manual_seed(JUDGE_SEED)  # every seed is judged by one style and one scale
    styles = crops("petals", "train", 8, generator=fixed, side=28).to(lab.device)
    petals = crops("petals", "test", len(test), generator=fixed, side=28).to(lab.device)
    test3 = test.repeat(1, 3, 1, 1)
    noise = (2 * torch.rand(test3.shape, generator=fixed) - 1).to(lab.device)

    def model_of(content: float, style: float) -> StyleTransfer:
        torch.manual_seed(lab.seed)
        translator = ResNetTranslator(3, 3, channels=size.channels[::-1], blocks=2)
        shape = test3.shape[1:]
        model = StyleTransfer(
            shape,
            net,
            styles,
            content=content,
            style=style,
            tv=TV_WEIGHT,
            translator=nn.Sequential(translator, nn.Tanh()),
        )
        return model.to(lab.device)

    judging = StyleTransfer(test3.shape[1:], other, styles, translator=nn.Identity()).to(lab.device)
    ours = model_of(CONTENT_WEIGHT, STYLE_WEIGHT)

    def grams(made: Tensor) -> dict[str, float]:
        with torch.no_grad():
            apart, base = ([model.losses(y, test3).style.mean() for model in (judging, ours)] for y in (made, noise))
        names = ("Gram, judged", "Gram")
        return {name: (a / b).item() for name, a, b in zip(names, apart, base, strict=True)}

    def roughness(made: Tensor) -> float:
        return (total_variation(made).mean() / total_variation(styles).mean()).item()

    def judged(made: Tensor, seconds: float | None = None) -> dict[str, float]:
        with torch.no_grad():
            content, base = (ours.losses(y, test3).content.mean() for y in (made, noise))
        values = {
            **grams(made),
            "content": (content / base).item(),
            "accuracy": accuracy(judge.net, made, labels),
            "roughness": roughness(made),
        }
        return values | ({"seconds": 100 * seconds / len(made)} if seconds is not None else {})

    rows: list[Row] = []
    pictures = [test3[:12], styles]
    coloured = train[:10_000].repeat(1, 3, 1, 1)
    for name, content, style in (
        ("one pass", CONTENT_WEIGHT, STYLE_WEIGHT),
        ("one pass, style alone", 0.0, STYLE_WEIGHT),
        ("one pass, content alone", CONTENT_WEIGHT, 0.0),
    ):
        model = ours if not rows else model_of(content, style)
        lab.train(name, MaximumLikelihoodStep(model, lr=2e-3, seed=lab.seed), lab.batches(coloured))
        made, seconds = _timed(partial(in_batches, model.eval().translate, test3))
        rows.append(Row(name, "ours" if not rows else "ablation", judged(made, seconds)))
        pictures.append(made[:12])
    n_steps = 2 if lab.smoke else 150
    moving = partial(ours.optimise, test3, start=test3)
    moved, seconds = _timed(partial(moving, n_steps=n_steps), warm_up=partial(moving, n_steps=1))
    pictures.append(moved[:12])
    lab.picture(pictures, "inputs; the style; one pass; style alone; content alone; pixels moved")
    return [
        rows[0],
        Row("pixels moved, Gatys et al.", "ours", judged(moved, seconds)),
        *rows[1:],
        Row("noise", "baseline", judged(noise)),
        Row("mixed half and half with a crop", "baseline", judged((test3 + styles[:1]) / 2)),
        Row("the input", "baseline", judged(test3)),
        Row("crops of the petals' other half", "ceiling", {**grams(petals), "roughness": roughness(petals)}),
    ]


def _in_any_colours(x: Tensor, random: torch.Generator) -> Tensor:
    """Grey (n, 1, H, W), bright on black -> (n, 3, H, W): on clouds, and every other one in the negative."""
    images = on_clutter(x, generator=random)
    images[::2] *= -1
    return images


def _timed(make: Callable[[], Tensor], warm_up: Callable[[], Tensor] | None = None) -> tuple[Tensor, float]:
    """What `make` makes and its seconds, after a first call of it or of what is shorter."""
    made = (warm_up or make)()
    _wait(made)
    began = time.perf_counter()
    made = make()
    _wait(made)
    return made, time.perf_counter() - began


def _wait(made: Tensor) -> None:
    if made.is_cuda:
        torch.cuda.synchronize(made.device)


MARKOVIAN = {
    "Gram": Measure(
        "relative distance of the mean Gram matrices to those of held-out texture, by the contents'", "lower"
    ),
    "content": Measure("distance of deep maps to the content's, by that of another content", "lower"),
    "seconds": Measure("a hundred images", "lower"),
}


class _PixelsFirst(nn.Module):
    """The maps of a network with the image itself before them."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> list[Tensor]:
        return [x, *self.net(x)]


def markovian_gan(lab: Lab, size: Size) -> Sequence[Row]:
    """Crops of a tower in the texture of petals; the half of each photograph that is judged is not trained on."""
    random = torch.Generator().manual_seed(lab.seed + 5)
    n = 1_000 if not lab.smoke else 100
    contents, texture = (crops(name, "train", n, generator=random) for name in ("tower", "petals"))
    fixed = torch.Generator().manual_seed(JUDGE_SEED)
    x, held_out = (crops(name, "test", size.n_judged, generator=fixed).to(lab.device) for name in ("tower", "petals"))
    net, other = _loss_network(lab), _judging_network(lab)
    target = [gram.mean(0) for gram in _seen(other, held_out)[1]]
    deep, grams = _seen(other, x)
    unstyled, unlike = _texture_distance(grams, target), content_distance(deep.roll(1, 0), deep).mean()

    def judged(made: Tensor, seconds: float | None = None, *, is_of_x: bool = True) -> dict[str, float]:
        maps, grams = _seen(other, made)
        values = {"Gram": _texture_distance(grams, target) / unstyled}
        if is_of_x:
            values["content"] = (content_distance(maps, deep).mean() / unlike).item()
        return values | ({"seconds": 100 * seconds / len(made)} if seconds is not None else {})

    rows: list[Row] = []
    pictures = [x[:12], held_out[:12]]
    for name, features, patch_layer in (
        ("Markovian GAN", net, 1),
        ("critic of pixel patches", _PixelsFirst(net), 0),
        ("no critic", net, 1),
    ):
        torch.manual_seed(lab.seed)
        channels = (*size.channels, size.channels[-1])
        model = MarkovianGAN(
            x.shape[1:], features, content=0.5, tv=0.2, patch_layer=patch_layer, channels=channels, critic_channels=64
        ).to(lab.device)
        step: AdversarialStep | MaximumLikelihoodStep = AdversarialStep(model, lr=1e-3, seed=lab.seed)
        batches: Iterator[tuple[Tensor, ...]] = unpaired(lab, contents, texture)
        if name == "no critic":
            step, batches = MaximumLikelihoodStep(_ContentAlone(model), lr=1e-3, seed=lab.seed), lab.batches(contents)
        lab.train(name, step, batches)
        made, seconds = _timed(partial(in_batches, model.eval().translate, x))
        rows.append(Row(name, "ours" if not rows else "ablation", judged(made, seconds)))
        pictures.append(made[:12])
    gatys = StyleTransfer(x.shape[1:], net, texture[:64].to(lab.device), style=3.0, tv=0.2, translator=nn.Identity())
    gatys.to(lab.device)
    n_steps = 2 if lab.smoke else 150
    moving = partial(gatys.optimise, x)
    moved, seconds = _timed(
        lambda: moving(n_steps=n_steps, generator=lab.random(6)),
        warm_up=lambda: moving(n_steps=1, generator=lab.random(6)),
    )
    pictures.append(moved[:12])
    shown = texture[: size.n_judged].to(lab.device)
    order = torch.randperm(shown.shape[2] * shown.shape[3], generator=lab.random(7), device=lab.device)
    shuffled = shown.flatten(2)[:, :, order].view_as(shown)
    tiled = F.interpolate(F.avg_pool2d(shown, 2), size=shown.shape[2] // 2, mode="bilinear").repeat(1, 1, 2, 2)
    lab.picture(
        [*pictures, shuffled[:12], tiled[:12]],
        "contents; held-out texture; Markovian GAN; critic of pixel patches; no critic; pixels moved (Gatys et al.); "
        "shuffled pixels; tiled at half size",
    )
    return [
        *rows,
        Row("pixels moved, Gatys et al.", "baseline", judged(moved, seconds)),
        Row("shuffled pixels of the texture", "baseline", judged(shuffled, is_of_x=False)),
        Row("the texture at half size, tiled", "baseline", judged(tiled, is_of_x=False)),
        Row("the contents", "baseline", judged(x)),
        Row("training crops of the texture", "ceiling", judged(shown, is_of_x=False)),
    ]


def _texture_distance(grams: Sequence[Tensor], target: Sequence[Tensor]) -> float:
    """sum_l ||G_l - A_l||^2 / ||A_l||^2 of the mean over images: of the texture, not of each crop of it."""
    means = [gram.mean(0) for gram in grams]
    return sum(((a - b).square().sum() / b.square().sum()).item() for a, b in zip(means, target, strict=True))


class _ContentAlone(nn.Module):
    """The decoder of a Markovian GAN, trained without its critic."""

    def __init__(self, model: MarkovianGAN) -> None:
        super().__init__()
        self.model = model
        self.model.critic.requires_grad_(False)

    def loss(self, x: Tensor, context: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        terms = self.model.generator_terms(self.model.translate(x), x, x)
        return (terms["content"] + terms["tv"]).expand(len(x))


STYLISTIC: dict[str, Experiment] = {
    "style-transfer": Experiment(
        about="Style transfer, by Gatys et al. and Johnson et al.",
        paper="https://arxiv.org/abs/1603.08155",
        question="do content and Gram matrices both come nearer, and is the article still recognised?",
        measures=STYLE,
        run=style_transfer,
        cpu=Size(steps=500, batch_size=8, channels=(32, 16), n_judged=100),
        gpu=Size(steps=20_000, batch_size=32, channels=(128, 64, 32), n_judged=500),
    ),
    "markovian-gan": Experiment(
        about="Markovian GAN",
        paper="https://arxiv.org/abs/1604.04382",
        question="does one pass carry a texture over, and how much faster than moving pixels?",
        measures=MARKOVIAN,
        run=markovian_gan,
        cpu=Size(steps=600, batch_size=16, channels=(64, 32), n_judged=64),
        gpu=Size(steps=20_000, batch_size=32, channels=(128, 64), n_judged=500),
    ),
}
