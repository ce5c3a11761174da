"""One attribute changed and the rest kept: the wear of a garment, the colour and the weight of a letter."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.data.damage import WEAR_LEVELS, wear
from benchmarks.data.glyphs import COLOURS, LETTERS, Glyphs, draw_glyphs
from benchmarks.images.experiments.experiment import Experiment, Measure, Role, Row, Size
from benchmarks.images.experiments.hybrids import LATENT
from benchmarks.images.experiments.lab import LOSS_NETWORK_SEED, Lab
from generative_core import AdversarialStep, AgeCGAN, ConditionalGAN, IcGAN, LatentEncoder, MaximumLikelihoodStep
from generative_core.latent.inversion import invert
from generative_core.metrics import Judge, in_batches, psnr
from generative_core.nets.conv import ConvEncoder

N_GLYPHS = 8_000
N_ATTRIBUTES = len(LETTERS) + len(COLOURS) + 1


class _SameGarment(nn.Module):
    """FR: an embedding in which a garment is near to itself at any wear, and far from the others of its batch.

    Trained on pairs (x, y) of one garment at two levels by the cross-entropy of finding x's partner among all y (van
    den Oord et al. 2018, https://arxiv.org/abs/1807.03748, eq. 4).
    """

    def __init__(self, event_shape: Sequence[int], channels: Sequence[int]) -> None:
        super().__init__()
        self.net = ConvEncoder(event_shape, 64, channels=channels, norm=nn.BatchNorm2d)

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(self.net(x), dim=1)

    def loss(self, x: Tensor, context: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        assert context is not None
        similarity = 10 * self(x) @ self(context).T
        return F.cross_entropy(similarity, torch.arange(len(x), device=x.device), reduction="none")


def age_cgan(lab: Lab, size: Size) -> Sequence[Row]:
    data = lab.images()
    random = torch.Generator().manual_seed(8)
    new = data.events("train")
    level = torch.randint(WEAR_LEVELS, (len(new),), generator=random)
    other_level = torch.randint(WEAR_LEVELS, (len(new),), generator=random)
    worn, again = (wear(new, k, generator=random) for k in (level, other_level))
    fresh = data.events("test")
    n = min(size.n_judged, len(fresh) // 2)
    test_level = torch.randint(WEAR_LEVELS, (len(fresh),), generator=random)
    test = wear(fresh, test_level, generator=random)
    level_judge = lab.judge("wear", worn, level, test, test_level)
    item_judge = lab.judge("worn garments", worn, data.labels("train"), test, data.labels("test"))

    torch.manual_seed(LOSS_NETWORK_SEED)
    narrow_first = tuple(size.channels)[::-1]
    same = _SameGarment(data.event_shape, narrow_first).to(lab.device)
    lab.train(
        "FR", MaximumLikelihoodStep(same, seed=LOSS_NETWORK_SEED), lab.batches(worn, again), n_steps=size.steps // 2
    )
    torch.manual_seed(lab.seed)
    contexts = F.one_hot(level, WEAR_LEVELS).float()
    gan = ConditionalGAN(data.event_shape, context_features=WEAR_LEVELS, latent=LATENT, channels=size.channels)
    lab.train("conditional GAN", AdversarialStep(gan.to(lab.device), seed=lab.seed), lab.batches(worn, contexts))
    encoder = LatentEncoder(gan.generator, channels=narrow_first).to(lab.device)
    lab.train(
        "encoder", MaximumLikelihoodStep(encoder, seed=lab.seed), lab.batches(worn, contexts), n_steps=size.steps // 2
    )

    x, truth = test[:n].to(lab.device), fresh[:n].to(lab.device)
    y = F.one_hot(test_level[:n], WEAR_LEVELS).float().to(lab.device)
    target = (test_level[:n] + 3) % WEAR_LEVELS  # three levels away: another one for everybody
    y_new = F.one_hot(target, WEAR_LEVELS).float().to(lab.device)
    steps = 2 if lab.smoke else 100
    by_identity = AgeCGAN(encoder, features=same, steps=steps)
    by_pixels = AgeCGAN(encoder, features=None, steps=steps)
    with torch.no_grad():
        guess = encoder(x)
    latents = {
        "the encoder's guess": guess,
        "guess mended by identity": by_identity.optimise(x, y).z,
        "guess mended by pixels": by_pixels.optimise(x, y).z,
    }
    roles: tuple[Role, ...] = ("ablation", "ours", "ablation")
    rows, pictures = [], [x[:14]]
    for role, (name, z) in zip(roles, latents.items(), strict=True):
        with torch.no_grad():
            kept, changed = gan.generator(z, y), gan.generator(z, y_new)
        pictures += [kept[:14], changed[:14]]
        rows.append(Row(name, role, _worn_measures(item_judge, level_judge, x, kept, changed, target)))
    renewed = wear(truth.cpu(), test_level[:n], generator=random).to(lab.device)
    right = wear(truth.cpu(), target, generator=random).to(lab.device)
    lab.picture(pictures, "worn test images; " + "; ".join(f"{name}: as worn, three levels away" for name in latents))
    other = x.roll(1, 0)
    return [
        *rows,
        Row("the image unchanged", "baseline", _worn_measures(item_judge, level_judge, x, x, x, target)),
        Row("another garment as it is", "baseline", _worn_measures(item_judge, level_judge, x, other, other, target)),
        Row("the garment, worn anew", "ceiling", _worn_measures(item_judge, level_judge, x, renewed, right, target)),
    ]


def _worn_measures(
    items: Judge, levels: Judge, x: Tensor, kept: Tensor, changed: Tensor, target: Tensor
) -> dict[str, float]:
    seen = [F.normalize(in_batches(items.net.features, images), dim=1) for images in (x, kept, changed)]
    found, found_changed = ((seen[i] @ seen[0].T).argmax(1).cpu() for i in (1, 2))
    itself = torch.arange(len(x))
    is_found = found_changed == itself
    is_level = in_batches(levels.net, changed).argmax(1).cpu() == target
    return {
        "found and level": float((is_found & is_level).double().mean()),
        "found": float((found == itself).double().mean()),
        "found changed": float(is_found.double().mean()),
        "level": float(is_level.double().mean()),
    }


class _Read(NamedTuple):
    """What is read off images of letters."""

    letter: Tensor
    is_bold: Tensor
    colour: Tensor


class Letters(NamedTuple):
    """Letters to learn from, others, and a judge of letter and weight."""

    train: Glyphs
    test: Glyphs
    judge: Judge


def draw_letters(lab: Lab) -> Letters:
    n_train = 600 if lab.smoke else N_GLYPHS
    random = torch.Generator().manual_seed(11)
    train, test = (
        draw_glyphs(torch.randint(len(LETTERS), (n,), generator=random), generator=random) for n in (n_train, 1_000)
    )
    lab.data["glyphs"] = {"name": "glyphs", "rows": {"train": n_train, "test": 1_000}, "seed": 11}
    judge = lab.judge("letter and weight", train.images, _kind(train), test.images, _kind(test))
    return Letters(train, test, judge)


class Edits(NamedTuple):
    """Two edits of each of n letters: the next colour, and the other weight."""

    truth: _Read
    colour: Tensor
    is_bold: Tensor
    right: list[Tensor]
    """The letters drawn anew: as they are, in the next colour, of the other weight."""


def edits_of(test: Glyphs, n: int, device: torch.device) -> Edits:
    """Of the first n letters."""
    letter, bold, colour = (values[:n] for values in (test.letter, test.is_bold, test.colour))
    new_colour, new_bold = (colour + 1) % len(COLOURS), 1 - bold
    fixed = torch.Generator()  # all is given, so nothing is drawn from it
    right = [
        draw_glyphs(letter, colour=c, is_bold=b, scale=test.scale[:n], slant=test.slant[:n], generator=fixed).images.to(
            device
        )
        for c, b in ((colour, bold), (new_colour, bold), (colour, new_bold))
    ]
    return Edits(_Read(letter, bold, colour), new_colour, new_bold, right)


def ic_gan(lab: Lab, size: Size) -> Sequence[Row]:
    train, test, judge = draw_letters(lab)
    torch.manual_seed(lab.seed)
    gan = ConditionalGAN((3, 28, 28), context_features=N_ATTRIBUTES, latent=LATENT, channels=size.channels)
    batches = lab.batches(train.images, _attributes(train))
    lab.train("conditional GAN", AdversarialStep(gan.to(lab.device), seed=lab.seed), batches)
    model = IcGAN(gan.generator, context_features=N_ATTRIBUTES, channels=tuple(size.channels)[::-1]).to(lab.device)
    batches = lab.batches(train.images, _attributes(train))
    lab.train("IcGAN's encoders", MaximumLikelihoodStep(model, seed=lab.seed), batches, n_steps=size.steps // 2)

    n = min(size.n_judged, 1_000)
    x, edits = test.images[:n].to(lab.device), edits_of(test, n, lab.device)
    with torch.no_grad():
        z, raw = model.encode(x)
        letter, colour, bold = raw.split([len(LETTERS), len(COLOURS), 1], dim=1)
        read = torch.cat([_one_hot_of(letter), _one_hot_of(colour), (bold > 0.5).float()], dim=1)
    found = invert(gan.generator, x, context=read, steps=2 if lab.smoke else 150, restarts=2, generator=lab.random(3))
    prior = gan.generator.sample_latent(n, generator=lab.random(4))
    start = len(LETTERS)
    with_colour, with_bold = read.clone(), read.clone()
    with_colour[:, start : start + len(COLOURS)] = F.one_hot(edits.colour, len(COLOURS)).float().to(lab.device)
    with_bold[:, -1] = edits.is_bold.float().to(lab.device)
    contenders: dict[str, tuple[Role, list[Tensor]]] = {}
    with torch.no_grad():
        for name, role, latent in (
            ("IcGAN", "ours", z),
            ("inversion by pixels", "ablation", found.z),
            ("any latent", "ablation", prior),
        ):
            made = [gan.generator(latent, y) for y in (read, with_colour, with_bold)]
            contenders[name] = role, made  # type: ignore[assignment]  # a Role
    contenders["no edit"] = "baseline", [x, x, x]
    contenders["drawn anew"] = "ceiling", edits.right
    pictures = [images[:12] for name in ("IcGAN", "inversion by pixels") for images in contenders[name][1]]
    lab.picture([x[:12], *pictures], f"test letters; IcGAN: {EDITED}; inversion by pixels: {EDITED}")
    return [Row(name, role, edit_measures(judge, made, edits)) for name, (role, made) in contenders.items()]


def edit_measures(judge: Judge, made: list[Tensor], edits: Edits) -> dict[str, float]:
    """Of letters rebuilt, in the next colour and of the other weight."""
    truth = edits.truth
    coloured, weighted = (_read(judge, images) for images in made[1:])
    changed = torch.cat([coloured.colour == edits.colour, weighted.is_bold == edits.is_bold])
    kept = torch.cat(
        [
            (coloured.letter == truth.letter) & (coloured.is_bold == truth.is_bold),
            (weighted.letter == truth.letter) & (weighted.colour == truth.colour),
        ]
    )
    errors = [psnr(a, b).clamp_max(60) for a, b in zip(made[1:], edits.right[1:], strict=True)]
    return {
        "both": float((changed & kept).double().mean()),
        "changed": float(changed.double().mean()),
        "kept": float(kept.double().mean()),
        "PSNR edited": float(torch.cat(errors).mean()),
        "PSNR rebuilt": float(psnr(made[0], edits.right[0]).clamp_max(60).mean()),
    }


def _read(judge: Judge, images: Tensor) -> _Read:
    """Letter and weight by the judge; the colour by its direction, which needs none."""
    kind = in_batches(judge.net, images).argmax(1).cpu()
    light = (images + 1).flatten(2).sum(2).cpu()  # (n, 3)
    colour = (F.normalize(light, dim=1) @ F.normalize(COLOURS, dim=1).T).argmax(1)
    return _Read(kind // 2, kind % 2, colour)


def _kind(glyphs: Glyphs) -> Tensor:
    return 2 * glyphs.letter + glyphs.is_bold


def _attributes(glyphs: Glyphs) -> Tensor:
    """(n, N_ATTRIBUTES) of 0 and 1: letter, colour, weight."""
    codes = F.one_hot(glyphs.letter, len(LETTERS)), F.one_hot(glyphs.colour, len(COLOURS)), glyphs.is_bold[:, None]
    return torch.cat(codes, dim=1).float()


def _one_hot_of(scores: Tensor) -> Tensor:
    return F.one_hot(scores.argmax(1), scores.shape[1]).float()


EDITED = "rebuilt, of the next colour, of the other weight"
EDIT_MEASURES = {
    "both": Measure("share of edits that are read off the image, while all else is read as before", "higher"),
    "changed": Measure("share of edits that are read off the image", "higher"),
    "kept": Measure("share of edits after which letter and the other attribute are read as before", "higher"),
    "PSNR edited": Measure(
        "peak signal-to-noise ratio to the letter drawn anew with the edit, dB, at most 60", "higher"
    ),
    "PSNR rebuilt": Measure("peak signal-to-noise ratio of the rebuilt letter, dB, at most 60", "higher"),
}

ATTRIBUTE_EDITS: dict[str, Experiment] = {
    "age-cgan": Experiment(
        about="Age-cGAN",
        paper="https://arxiv.org/abs/1702.01983",
        question="does a latent that is mended by identity keep the garment when its wear is changed?",
        measures={
            "found and level": Measure(
                "share of images three levels of wear away that are of that level and by which the garment is found",
                "higher",
            ),
            "found": Measure("share of garments that the judge finds among all by their image rebuilt", "higher"),
            "found changed": Measure("the same by their image three levels of wear away, of whatever level", "higher"),
            "level": Measure("share of changed images that the judge gives the level asked for", "higher"),
        },
        run=age_cgan,
        cpu=Size(steps=1_200, n_judged=200),
        gpu=Size(steps=40_000, batch_size=128, channels=(256, 128), n_judged=1_000),
    ),
    "ic-gan": Experiment(
        about="IcGAN",
        paper="https://arxiv.org/abs/1611.06355",
        question="do two encoders edit one attribute of a letter and keep the others, better than a search by pixels?",
        measures=EDIT_MEASURES,
        run=ic_gan,
        cpu=Size(steps=1_500, n_judged=200),
        gpu=Size(steps=40_000, batch_size=128, channels=(256, 128), n_judged=1_000),
    ),
}
