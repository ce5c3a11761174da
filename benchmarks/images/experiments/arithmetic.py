"""Attributes by arithmetic of codes: the mean with one minus the mean without it, added to letters of a test set."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from benchmarks.data.glyphs import COLOURS, Glyphs
from benchmarks.images.experiments.attribute_edits import EDIT_MEASURES, EDITED, draw_letters, edit_measures, edits_of
from benchmarks.images.experiments.experiment import Experiment, Role, Row, Size
from benchmarks.images.experiments.hybrids import LATENT, conv_vae
from benchmarks.images.experiments.lab import Lab
from generative_core import VAEGAN, MaximumLikelihoodStep, attribute_vector
from generative_core.metrics import in_batches

Net = Callable[[Tensor], Tensor]


def latent_arithmetic(lab: Lab, size: Size) -> Sequence[Row]:
    train, test, judge = draw_letters(lab)
    shape = train.images.shape[1:]
    torch.manual_seed(lab.seed)
    hybrid = VAEGAN(shape, latent=LATENT, channels=size.channels).to(lab.device)
    lab.train("VAE/GAN", lab.game(hybrid), lab.batches(train.images))
    vae = conv_vae(shape, size).to(lab.device)
    lab.train("VAE", MaximumLikelihoodStep(vae, seed=lab.seed), lab.batches(train.images))
    codecs: dict[str, tuple[Role, Net, Net]] = {
        "VAE/GAN": ("ours", hybrid.encode, hybrid.decode),
        "VAE, the same nets": ("ours", lambda x: vae.posterior(x).loc, vae.decode),
        "pixels themselves": ("baseline", lambda x: x.flatten(1), lambda z: z.unflatten(1, shape).clamp(-1, 1)),
    }
    n = min(size.n_judged, len(test.images))
    x, edits = test.images[:n].to(lab.device), edits_of(test, n, lab.device)
    made: dict[str, tuple[Role, list[Tensor]]] = {}
    for name, (role, encode, decode) in codecs.items():
        z = in_batches(encode, x)
        towards = directions(in_batches(encode, train.images.to(lab.device)), train, test, n)
        made[name] = role, [in_batches(decode, z + step) for step in (torch.zeros_like(z), *towards)]
        if name == "VAE/GAN":
            anywhere = [elsewhere(step, generator=lab.random(5)) for step in towards]
            random_edits = [in_batches(decode, z + step) for step in (torch.zeros_like(z), *anywhere)]
    made["VAE/GAN, any direction of that length"] = "ablation", random_edits
    made["no edit"] = "baseline", [x, x, x]
    made["drawn anew"] = "ceiling", edits.right
    shown = [images[:12] for name in codecs for images in made[name][1]]
    lab.picture([x[:12], *shown], f"test letters; {'; '.join(f'{name}: {EDITED}' for name in codecs)}")
    return [Row(name, role, edit_measures(judge, images, edits)) for name, (role, images) in made.items()]


def directions(codes: Tensor, train: Glyphs, test: Glyphs, n: int) -> tuple[Tensor, Tensor]:
    """What is added to the codes of the first n test letters for the next colour and for the other weight, (n, Z)."""
    colours = [train.colour == k for k in range(len(COLOURS))]
    # of letters of the two colours in question alone
    pairs = [(here, colours[(k + 1) % len(COLOURS)]) for k, here in enumerate(colours)]
    next_colour = torch.stack(
        [
            attribute_vector(codes[(here | there).to(codes.device)], there[here | there].to(codes.device))
            for here, there in pairs
        ]
    )
    bold = attribute_vector(codes, (train.is_bold == 1).to(codes.device))
    sign = (1 - 2 * test.is_bold[:n]).to(codes)[:, None]  # towards bold where it is not
    return next_colour[test.colour[:n].to(codes.device)], sign * bold


def elsewhere(step: Tensor, *, generator: torch.Generator) -> Tensor:
    """Steps (n, Z) of the same lengths in directions drawn evenly."""
    random = torch.randn(step.shape, generator=generator, device=step.device)
    return random * (step.norm(dim=1) / random.norm(dim=1))[:, None]


ARITHMETIC: dict[str, Experiment] = {
    "latent-arithmetic": Experiment(
        about="Attributes by arithmetic of codes, VAE/GAN",
        paper="https://arxiv.org/abs/1512.09300",
        question="does the mean code with an attribute, less that without, change it in a letter and nothing else?",
        measures=EDIT_MEASURES,
        run=latent_arithmetic,
        cpu=Size(steps=1_200, batch_size=32, channels=(128, 64, 32), n_judged=500),
        gpu=Size(steps=20_000, batch_size=128, channels=(256, 128), n_judged=1_000),
    ),
}
