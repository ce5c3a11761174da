"""Letters drawn to attributes: judges that learnt from real letters read what samples show."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.data.glyphs import COLOURS, LETTERS, draw_glyphs
from benchmarks.images.experiments.experiment import Experiment, Measure, Row, Size
from benchmarks.images.experiments.judging import FID
from benchmarks.images.experiments.lab import Lab, fixed_random
from generative_core import AttributeGAN
from generative_core.metrics import Judge, frechet_distance, in_batches

ATTRIBUTES = ("letter", "colour", "bold", "slant")
N_ATTRIBUTES = len(LETTERS) + len(COLOURS) + 2


class Letters(NamedTuple):
    """n images and the classes that they show, an entry for each of `ATTRIBUTES`."""

    images: Tensor
    classes: tuple[Tensor, ...]

    @property
    def codes(self) -> Tensor:
        """(n, 16) of 0 and 1: letter and colour one-hot, bold, slanted to the right."""
        letter, colour, bold, slant = self.classes
        one_hot = [F.one_hot(letter, len(LETTERS)), F.one_hot(colour, len(COLOURS))]
        return torch.cat([*one_hot, bold[:, None], slant[:, None]], dim=1).float()


def anime(lab: Lab, size: Size) -> Sequence[Row]:
    n, n_train = size.n_judged, 200 if lab.smoke else 10_000
    train = _letters(lab, n_train, torch.Generator().manual_seed(lab.seed * 1_000_003 + 1))
    seen, test, other = (_letters(lab, k, fixed_random(stream)) for stream, k in enumerate((n_train, n, n)))
    lab.record("letters with attributes", n_train=n_train, n_judges=n_train, n_test=n)
    judges = {
        name: lab.judge(f"letters: {name}", seen.images, seen.classes[i], test.images, test.classes[i])
        for i, name in enumerate(ATTRIBUTES)
    }
    drawn = {}
    for name, penalty in (("with DRAGAN", 0.5), ("without DRAGAN", 0.0)):
        torch.manual_seed(lab.seed)
        model = AttributeGAN(
            train.images.shape[1:],
            n_attributes=N_ATTRIBUTES,
            channels=size.channels[0],
            blocks=16 if size.channels[0] >= 64 else 2,
            critic_channels=tuple(2 * c for c in size.channels[::-1]),
            penalty=penalty,
        )
        trained = lab.train(name, lab.game(model), lab.batches(train.images, train.codes), model=model)
        assert isinstance(trained, AttributeGAN)
        with torch.no_grad():
            drawn[name] = trained.sample(n, test.codes, generator=lab.random(7))
    # letters and colours both sum to one, so no constant is needed and the inverse is a pseudo-inverse
    least = test.codes @ (torch.linalg.pinv(train.codes) @ train.images.flatten(1))
    drawn["least squares"] = least.view_as(test.images).clamp(-1, 1)
    lab.picture(
        [images[:16] for images in (test.images, *drawn.values())],
        "real letters with the attributes asked for; AttributeGAN; without its penalty; least squares",
    )
    return [
        Row("AttributeGAN", "ours", read(judges, drawn["with DRAGAN"], test, other)),
        Row("without the penalty", "ablation", read(judges, drawn["without DRAGAN"], test, other)),
        Row("least squares from attributes to pixels", "baseline", read(judges, drawn["least squares"], test, other)),
        Row("real letters", "ceiling", read(judges, test.images, test, other)),
    ]


@torch.no_grad()
def read(judges: dict[str, Judge], images: Tensor, asked: Letters, other: Letters) -> dict[str, float]:
    """Shares of the images (n, 3, H, W) that show what was asked for; the distance is to other real letters."""
    right = {
        name: in_batches(judge.net, images).argmax(1) == classes
        for (name, judge), classes in zip(judges.items(), asked.classes, strict=True)
    }
    everything = torch.stack(list(right.values())).all(0)
    net = judges["letter"].net
    distance = frechet_distance(in_batches(net.features, other.images), in_batches(net.features, images))
    shares = {name: float(found.float().mean()) for name, found in right.items()}
    return {"all": float(everything.float().mean()), **shares, "FID": distance}


def _letters(lab: Lab, n: int, generator: torch.Generator) -> Letters:
    """Slanted to the left or to the right by at least half of the greatest slant."""
    letter = torch.randint(len(LETTERS), (n,), generator=generator)
    to_right = torch.randint(2, (n,), generator=generator)
    slant = (2 * to_right - 1) * (0.5 + 0.5 * torch.rand(n, generator=generator))
    glyphs = draw_glyphs(letter, generator=generator, slant=slant)
    classes = (glyphs.letter, glyphs.colour, glyphs.is_bold, to_right)
    return Letters(glyphs.images.to(lab.device), tuple(values.to(lab.device) for values in classes))


DRAWN_TO_ATTRIBUTES: dict[str, Experiment] = {
    "anime": Experiment(
        about="Anime characters' GAN: attributes, pixel shuffle, DRAGAN",
        paper="https://arxiv.org/abs/1708.05509",
        question="do drawings show the attributes asked for, and does the penalty around the data help?",
        measures={
            "all": Measure("share of the samples that show all four attributes asked for", "higher"),
            "letter": Measure(f"share of the right letter of {len(LETTERS)}, by a judge of real letters", "higher"),
            "colour": Measure("share of the right colour of 4, by a judge", "higher"),
            "bold": Measure("share of the right weight of 2, by a judge", "higher"),
            "slant": Measure("share of the right slant of 2, by a judge", "higher"),
            "FID": FID,
        },
        run=anime,
        cpu=Size(steps=700, batch_size=32, channels=(32, 16), n_judged=1_000),
        gpu=Size(steps=40_000, batch_size=64, channels=(64, 64), n_judged=5_000),
    ),
}
