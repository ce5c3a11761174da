"""One attribute changed and the rest kept: the wear of a garment, the colour and the weight of a letter."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.data.damage import WEAR_LEVELS, wear
from benchmarks.data.glyphs import COLOURS, LETTERS, Glyphs, draw_glyphs
from benchmarks.data.recolour import draw_clouds
from benchmarks.images.experiments.experiment import Experiment, Measure, Role, Row, Size
from benchmarks.images.experiments.hybrids import LATENT
from benchmarks.images.experiments.lab import JUDGE_SEED, LOSS_NETWORK_SEED, Lab
from generative_core import AgeCGAN, ConditionalGAN, IcGAN, LatentEncoder, MaximumLikelihoodStep
from generative_core.latent.inversion import invert
from generative_core.metrics import Judge, in_batches, psnr
from generative_core.nets.conv import ConvEncoder

N_GLYPHS = 8_000
N_ATTRIBUTES = len(LETTERS) + len(COLOURS) + 1
DARKEST = -0.8  # pixel of a garment; what is darker shows the background
PRIOR_BESIDE_IDENTITY, PRIOR_BESIDE_PIXELS = 0.01, 0.5  # each a small part of its search's error at the start
N_LEVEL_JUDGE = 20_000  # images that the judge of levels learns from
SLANT_KEPT = 0.25  # of [-1, 1]: how far it may be off
LETTER_LATENT = 8  # slant and scale are all that the attributes leave open


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
    new, fresh = data.events("train"), data.events("test")
    level, other_level = (torch.randint(WEAR_LEVELS, (len(new),), generator=random) for _ in range(2))
    worn, again = (_photograph(new, k, random) for k in (level, other_level))
    n = min(size.n_judged, len(fresh) // 2)
    test_level = torch.randint(WEAR_LEVELS, (len(fresh),), generator=random)
    behind = _clouds(fresh, random)
    test = _photograph(fresh, test_level, random, behind=behind)
    level_judge = lab.judge("wear", worn[:N_LEVEL_JUDGE], level[:N_LEVEL_JUDGE], test, test_level)

    narrow_first = tuple(size.channels)[::-1]
    # who is who is judged by a network of another seed and of other widths than the one that is searched by
    same, identity_judge = (
        _same_garment(lab, name, seed, channels, worn, again)
        for name, seed, channels in (
            ("FR", LOSS_NETWORK_SEED, narrow_first),
            ("judge of identity", JUDGE_SEED, [3 * c // 2 for c in narrow_first]),
        )
    )
    torch.manual_seed(lab.seed)
    contexts = F.one_hot(level, WEAR_LEVELS).float()
    gan = ConditionalGAN(data.event_shape, context_features=WEAR_LEVELS, latent=LATENT, channels=size.channels)
    lab.train("conditional GAN", lab.game(gan), lab.batches(worn, contexts))
    encoder = LatentEncoder(gan.generator, channels=narrow_first).to(lab.device)
    lab.train(
        "encoder",
        MaximumLikelihoodStep(encoder, seed=lab.seed),
        lab.batches(worn, contexts),
        n_steps=max(size.steps // 4, 1),
    )

    x, truth, behind = test[:n].to(lab.device), fresh[:n], behind[:n]
    y = F.one_hot(test_level[:n], WEAR_LEVELS).float().to(lab.device)
    target = (test_level[:n] + 3) % WEAR_LEVELS  # three levels away: another one for everybody
    y_new = F.one_hot(target, WEAR_LEVELS).float().to(lab.device)
    steps = 2 if lab.smoke else 100
    by_identity = AgeCGAN(encoder, features=same, prior=PRIOR_BESIDE_IDENTITY, steps=steps)
    by_pixels = AgeCGAN(encoder, features=None, prior=PRIOR_BESIDE_PIXELS, steps=steps)
    with torch.no_grad():
        guess = encoder(x)
    latents = {
        "the encoder's guess": guess,
        "guess mended by identity": by_identity.optimise(x, y).z,
        "guess mended by pixels": by_pixels.optimise(x, y).z,
    }
    # looked for among other photographs of the garments, so that no background helps
    album = _photograph(truth, torch.randint(WEAR_LEVELS, (n,), generator=random), random).to(lab.device)

    def judged(kept: Tensor, changed: Tensor) -> dict[str, float]:
        return _worn_measures(identity_judge, level_judge, album, kept, changed, target)

    roles: tuple[Role, ...] = ("ablation", "ours", "ablation")
    rows, pictures = [], [x[:14]]
    for role, (name, z) in zip(roles, latents.items(), strict=True):
        with torch.no_grad():
            kept, changed = gan.generator(z, y), gan.generator(z, y_new)
        pictures += [kept[:14], changed[:14]]
        rows.append(Row(name, role, judged(kept, changed)))
    right = _photograph(truth, target, random, behind=behind).to(lab.device)
    pictures.append(right[:14])
    told = "; ".join(f"{name}: as worn, three levels away" for name in latents)
    lab.picture(pictures, f"worn test images; {told}; the garments three levels away")
    other = x.roll(1, 0)
    return [
        *rows,
        Row("the image unchanged", "baseline", judged(x, x)),
        Row("another garment as it is", "baseline", judged(other, other)),
        Row("the garment, worn anew", "ceiling", judged(x, right)),
    ]


def _same_garment(lab: Lab, name: str, seed: int, channels: Sequence[int], worn: Tensor, again: Tensor) -> _SameGarment:
    torch.manual_seed(seed)
    net = _SameGarment(worn.shape[1:], channels).to(lab.device)
    batches = lab.batches(worn, again, batch_size=64, seed=seed)
    lab.train(name, MaximumLikelihoodStep(net, seed=seed), batches, n_steps=max(lab.size.steps // 8, 1))
    return net.requires_grad_(False)


def _photograph(new: Tensor, level: Tensor, random: torch.Generator, *, behind: Tensor | None = None) -> Tensor:
    """New garments (n, 1, H, W), worn as `level` says, each before clouds of its own or those given."""
    behind = _clouds(new, random) if behind is None else behind
    return torch.where(new > DARKEST, wear(new, level, generator=random), behind)


def _clouds(like: Tensor, random: torch.Generator) -> Tensor:
    height, width = like.shape[2:]
    return 2 * draw_clouds(len(like), (1, height, width), brightness=0.4, cells=2, generator=random) - 1


def _worn_measures(
    identity: _SameGarment, levels: Judge, album: Tensor, kept: Tensor, changed: Tensor, target: Tensor
) -> dict[str, float]:
    known, *seen = (in_batches(identity, images) for images in (album, kept, changed))
    found, found_changed = ((images @ known.T).argmax(1).cpu() for images in seen)
    itself = torch.arange(len(album))
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

    truth: Glyphs
    colour: Tensor
    is_bold: Tensor
    right: list[Tensor]
    """The letters drawn anew: as they are, in the next colour, of the other weight."""


def edits_of(test: Glyphs, n: int, device: torch.device) -> Edits:
    """Of the first n letters."""
    truth = Glyphs(*(part[:n] for part in test))
    new_colour, new_bold = (truth.colour + 1) % len(COLOURS), 1 - truth.is_bold
    right = [
        draw_glyphs(
            truth.letter,
            colour=colour,
            is_bold=bold,
            scale=truth.scale,
            slant=truth.slant,
            generator=torch.Generator(),  # nothing is left to draw
        ).images.to(device)
        for colour, bold in ((truth.colour, truth.is_bold), (new_colour, truth.is_bold), (truth.colour, new_bold))
    ]
    return Edits(truth, new_colour, new_bold, right)


def ic_gan(lab: Lab, size: Size) -> Sequence[Row]:
    train, test, judge = draw_letters(lab)
    torch.manual_seed(lab.seed)
    gan = ConditionalGAN((3, 28, 28), context_features=N_ATTRIBUTES, latent=LETTER_LATENT, channels=size.channels)
    batches = lab.batches(train.images, _attributes(train))
    lab.train("conditional GAN", lab.game(gan), batches)
    model = IcGAN(gan.generator, context_features=N_ATTRIBUTES, channels=tuple(size.channels)[::-1]).to(lab.device)
    batches = lab.batches(train.images, _attributes(train))
    lab.train("IcGAN's encoders", MaximumLikelihoodStep(model, seed=lab.seed), batches, n_steps=max(size.steps // 3, 1))

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
    """`EDIT_MEASURES` of letters rebuilt, in the next colour and of the other weight."""
    truth, new_colour, new_bold, right = edits
    coloured, weighted = (_read(judge, images) for images in made[1:])
    changed = [coloured.colour == new_colour, weighted.is_bold == new_bold]
    kept = [
        (coloured.letter == truth.letter) & (coloured.is_bold == truth.is_bold),
        (weighted.letter == truth.letter) & (weighted.colour == truth.colour),
    ]
    drawn = truth._replace(colour=new_colour), truth._replace(is_bold=new_bold)
    slants = [(_slant(images, asked) - truth.slant).abs() for images, asked in zip(made[1:], drawn, strict=True)]
    kept = [a & (b <= SLANT_KEPT) for a, b in zip(kept, slants, strict=True)]
    errors = [psnr(a, b).clamp_max(60) for a, b in zip(made[1:], right[1:], strict=True)]
    right_edits = torch.cat([a & b for a, b in zip(changed, kept, strict=True)])
    return {
        "edited": float(right_edits.double().mean()),
        "PSNR edited": float(torch.cat(errors).mean()),
        "changed": float(torch.cat(changed).double().mean()),
        "kept": float(torch.cat(kept).double().mean()),
        "slant error": float(torch.cat(slants).double().mean()),
        "PSNR rebuilt": float(psnr(made[0], right[0]).clamp_max(60).mean()),
    }


def _read(judge: Judge, images: Tensor) -> _Read:
    """Letter and weight by the judge; the colour by its direction, which needs none."""
    kind = in_batches(judge.net, images).argmax(1).cpu()
    light = (images + 1).flatten(2).sum(2).cpu()  # (n, 3)
    colour = (F.normalize(light, dim=1) @ F.normalize(COLOURS, dim=1).T).argmax(1)
    return _Read(kind // 2, kind % 2, colour)


def _slant(images: Tensor, asked: Glyphs) -> Tensor:
    """(n,) the slant, of 17, with which the letter that was asked for, drawn anew, is nearest to the image."""
    slants = torch.linspace(-1, 1, 17)
    errors = []
    for slant in slants:
        drawn = draw_glyphs(
            asked.letter,
            generator=torch.Generator(),  # nothing is left to draw
            is_bold=asked.is_bold,
            colour=asked.colour,
            slant=slant.expand(len(images)),
            scale=asked.scale,
        )
        errors.append((drawn.images - images.cpu()).square().flatten(1).mean(1))
    return slants[torch.stack(errors).argmin(0)]


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
    "edited": Measure(
        "share of edits that are read off the image, with letter, slant and the other attribute as before",
        "higher",
    ),
    "PSNR edited": Measure(
        "peak signal-to-noise ratio to the letter drawn anew with the edit, dB, at most 60", "higher"
    ),
    "changed": Measure("share of edits that are read off the image", "higher"),
    "kept": Measure(
        "share of edits after which letter, slant (within a quarter) and the other attribute are as before",
        "higher",
    ),
    "slant error": Measure("mean absolute error of the slant after an edit, of [-1, 1]", "lower"),
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
            "found": Measure(
                "share of garments that a judge finds among other photographs of all by their image rebuilt", "higher"
            ),
            "found changed": Measure("the same by their image three levels of wear away, of whatever level", "higher"),
            "level": Measure("share of changed images that the judge gives the level asked for", "higher"),
        },
        run=age_cgan,
        cpu=Size(steps=3_500, batch_size=32, channels=(128, 64, 32), n_judged=200),
        gpu=Size(steps=40_000, batch_size=128, channels=(256, 128), n_judged=1_000),
    ),
    "ic-gan": Experiment(
        about="IcGAN",
        paper="https://arxiv.org/abs/1611.06355",
        question="do two encoders edit one attribute of a letter and keep the others, better than a search by pixels?",
        measures=EDIT_MEASURES,
        run=ic_gan,
        cpu=Size(steps=1_200, batch_size=32, channels=(128, 64, 32), n_judged=200),
        gpu=Size(steps=40_000, batch_size=128, channels=(256, 128), n_judged=1_000),
    ),
}
