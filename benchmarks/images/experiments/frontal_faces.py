"""Faces from the side to the front: drawn faces, whose identity is known, recognised before and after."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.data import faces
from benchmarks.images.experiments.experiment import Experiment, Measure, Row, Size
from benchmarks.images.experiments.lab import JUDGE_SEED, LOSS_NETWORK_SEED, Lab
from benchmarks.images.experiments.regression import train_reader
from generative_core import TPGAN
from generative_core.metrics import JudgeCNN, in_batches, psnr
from generative_core.nets.conv import ConvEncoder

SIDE = 32
SHAPE = (3, SIDE, SIDE)
N_TRAITS = len(faces.TRAITS)
LEAST_YAW, GREATEST_YAW = math.radians(45), math.radians(75)
PATCH_SIDE = 12
N_MEAN = 1_000  # faces of the mean one

MEASURES = {
    "rank_1": Measure("share whose nearest person in a gallery of frontal faces is the right one", "higher"),
    "symmetry_error": Measure("mean absolute difference to the mirror image, grey values in [-1, 1]", "lower"),
    "PSNR": Measure("peak signal-to-noise ratio to the true frontal face, dB", "higher"),
}


class People(NamedTuple):
    """n people, one photograph of each from either side."""

    identity: Tensor
    frontal: Tensor
    """As drawn: no light, no noise."""
    source: Tensor
    """The photograph, and the maps of its landmarks behind it."""


def draw_people(n: int, *, generator: torch.Generator) -> People:
    identity = faces.draw_identities(n, generator=generator)
    share, sign = torch.rand(n, generator=generator), 2 * torch.randint(2, (n,), generator=generator) - 1
    yaw = sign * (LEAST_YAW + (GREATEST_YAW - LEAST_YAW) * share)
    photograph = faces.light(faces.render(identity, yaw, side=SIDE), generator=generator)
    maps = faces.landmark_maps(faces.landmarks(identity, yaw), side=SIDE)
    return People(identity, faces.render(identity, torch.zeros(n), side=SIDE), torch.cat([photograph, maps], dim=1))


def tp_gan(lab: Lab, size: Size) -> Sequence[Row]:
    torch.manual_seed(LOSS_NETWORK_SEED)
    net = ConvEncoder(SHAPE, N_TRAITS, channels=(32, 64, 64), norm=nn.BatchNorm2d)
    seed = LOSS_NETWORK_SEED
    known = train_reader(lab, "identity network", net, _portraits(lab, seed), n_steps=size.steps // 2, seed=seed)
    contenders = {"TP-GAN": template(), "without the local paths": ()}
    people = draw_people(size.n_judged, generator=torch.Generator().manual_seed(JUDGE_SEED))
    _, frontal, source = (part.to(lab.device) for part in people)
    made = {}
    for name, places in contenders.items():
        model = _model(lab, size, known, places)
        n_used = model.source_shape[0]  # without local paths there are no landmarks to see
        lab.train(name, lab.game(model), _pairs(lab, size, n_used))
        made[name] = in_batches(model.translate, source[:, :n_used])
    profile = source[:, :3]
    lab.picture([x[:12] for x in (profile, *made.values(), frontal)], "; ".join(["profiles", *made, "the truth"]))

    torch.manual_seed(JUDGE_SEED)
    seed = JUDGE_SEED + 1
    judge, of_profiles = JudgeCNN(SHAPE, n_classes=N_TRAITS), JudgeCNN(SHAPE, n_classes=N_TRAITS)
    read_frontal = train_reader(lab, "judge of frontal faces", judge, _portraits(lab, seed), n_steps=800, seed=seed)
    profiles = _profiles(lab, seed)
    read_profile = train_reader(lab, "judge of profiles", of_profiles, profiles, n_steps=800, seed=seed)
    gallery = in_batches(read_frontal, frontal)

    def judged(x: Tensor) -> dict[str, float]:
        return {
            "rank_1": rank_1(in_batches(read_frontal, x), gallery),
            "symmetry_error": float((x - x.flip(3)).abs().mean()),
            "PSNR": float(psnr(x, frontal).mean()),
        }

    by_profile = rank_1(in_batches(read_profile, profile), gallery)
    known_faces = faces.draw_identities(N_MEAN, generator=torch.Generator().manual_seed(lab.seed))
    mean = faces.render(known_faces, torch.zeros(N_MEAN), side=SIDE).mean(0).to(lab.device)
    photographed = faces.light(people.frontal, generator=torch.Generator().manual_seed(JUDGE_SEED)).to(lab.device)
    return [
        Row("TP-GAN", "ours", judged(made["TP-GAN"])),
        Row("without the local paths", "ablation", judged(made["without the local paths"])),
        Row("the profile itself", "baseline", judged(profile)),
        Row(
            "profiles, by a judge of profiles",
            "baseline",
            {"rank_1": by_profile},
        ),
        Row("the mean target image", "baseline", judged(mean.expand_as(frontal))),
        Row("another photograph from the front", "ceiling", judged(photographed)),
    ]


def rank_1(probes: Tensor, gallery: Tensor) -> float:
    """Share of the rows of `probes` whose nearest row of `gallery` has their own number."""
    nearest = torch.cdist(probes, gallery).argmin(1)
    return float((nearest == torch.arange(len(probes), device=probes.device)).float().mean())


def template() -> tuple[tuple[int, int], ...]:
    """Row and column of each landmark in the middle one of all faces."""
    places = faces.landmarks(torch.full((1, N_TRAITS), 0.5), torch.zeros(1))[0]
    return tuple((int((y + 1) / 2 * SIDE), int((x + 1) / 2 * SIDE)) for x, y in places.tolist())


def _model(lab: Lab, size: Size, known: nn.Module, places: Sequence[tuple[int, int]]) -> TPGAN:
    torch.manual_seed(lab.seed)
    channels = tuple(size.channels)[::-1]
    model = TPGAN(
        SHAPE,
        known,
        template=places,
        patch_side=PATCH_SIDE,
        channels=(*channels, channels[-1]),
        identity=10.0,  # the network tells traits in [0, 1], whose square errors are small
    )
    return model.to(lab.device)


def _pairs(lab: Lab, size: Size, n_used: int) -> Iterator[tuple[Tensor, ...]]:
    random = torch.Generator().manual_seed(lab.seed)
    while True:
        people = draw_people(size.batch_size, generator=random)
        yield people.frontal.to(lab.device), people.source[:, :n_used].to(lab.device)


def _portraits(lab: Lab, seed: int) -> Iterator[tuple[Tensor, ...]]:
    """Identities and photographs of them from the front."""
    random = torch.Generator().manual_seed(seed)
    while True:
        identity = faces.draw_identities(64, generator=random)
        images = faces.light(faces.render(identity, torch.zeros(64), side=SIDE), generator=random)
        yield identity.to(lab.device), images.to(lab.device)


def _profiles(lab: Lab, seed: int) -> Iterator[tuple[Tensor, ...]]:
    """Identities and photographs of them from the side."""
    random = torch.Generator().manual_seed(seed)
    while True:
        people = draw_people(64, generator=random)
        yield people.identity.to(lab.device), people.source[:, :3].to(lab.device)


FRONTAL_FACES: dict[str, Experiment] = {
    "tp-gan": Experiment(
        about="TP-GAN, a drawn face from the side to the front",
        paper="https://arxiv.org/abs/1704.04086",
        question="is a person better recognised on the frontal face made of a profile than on the profile?",
        measures=MEASURES,
        run=tp_gan,
        cpu=Size(steps=450, batch_size=32, n_judged=500),
        gpu=Size(steps=40_000, channels=(256, 128, 64), n_judged=2_000),
    ),
}
