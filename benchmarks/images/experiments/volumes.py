"""Volumes: solids and furniture of voxels, whose connectedness and symmetry are read off exactly."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmarks.data.voxels import KINDS, SIDE, draw_voxels, project
from benchmarks.images.experiments.experiment import Experiment, Measure, Row, Size
from benchmarks.images.experiments.lab import JUDGE_SEED, Lab
from generative_core import GAN3D, AdversarialStep
from generative_core.metrics import density_coverage, in_batches

N_LABELLED = 10  # shapes of each kind that a probe learns from
EVENT_SHAPE = (1, SIDE, SIDE, SIDE)


def gan_3d(lab: Lab, size: Size) -> Sequence[Row]:
    n_train = 200 if lab.smoke else 10_000
    train, _ = draw_shapes(lab, n_train, seed=lab.seed, held_out=False)
    n = size.n_judged
    test, _ = draw_shapes(lab, 2 * n, seed=JUDGE_SEED, held_out=True)
    known = set(_as_bytes(train))
    models: dict[str, GAN3D] = {}
    for name, gate in (("gated", 0.8), ("always", 1.0)):
        torch.manual_seed(lab.seed)
        model = GAN3D(EVENT_SHAPE, channels=size.channels, gate=gate).to(lab.device)
        trained = lab.train(name, AdversarialStep(model, lr=1e-3, seed=lab.seed), lab.batches(train))
        assert isinstance(trained, GAN3D)
        models[name] = trained
    with torch.no_grad():
        drawn = {name: model.sample(n, generator=lab.random(7)) for name, model in models.items()}
    share = train.mean(0).expand(n, *EVENT_SHAPE)
    drawn["independent"] = torch.bernoulli(share, generator=lab.random(8))
    lab.picture(
        [project(shapes[:12]) for shapes in (test, drawn["gated"], drawn["always"], drawn["independent"])],
        "test shapes; 3D-GAN; its critic always taught; every voxel on its own",
    )
    torch.manual_seed(lab.seed)
    untrained = GAN3D(EVENT_SHAPE, channels=size.channels).to(lab.device).eval()
    probes = {
        name: in_probe(lab, net.critic.embed)
        for name, net in (("gated", models["gated"]), ("always", models["always"]), ("untrained", untrained))
    }
    judged = partial(measure, test=test[:n], known=known)
    return [
        Row("3D-GAN", "ours", judged(drawn["gated"]) | {"probe": probes["gated"]}),
        Row("its critic always taught", "ablation", judged(drawn["always"]) | {"probe": probes["always"]}),
        Row("its critic before training", "ablation", {"probe": probes["untrained"]}),
        Row(
            "every voxel on its own; a probe of raw voxels",
            "baseline",
            judged(drawn["independent"]) | {"probe": in_probe(lab, lambda x: x.flatten(1))},
        ),
        Row("training shapes, copied", "baseline", judged(train[:n])),
        Row("the nearest labelled shape", "baseline", {"probe": nearest_probe(lab)}),
        Row("real shapes", "ceiling", judged(test[n:])),
    ]


def measure(volumes: Tensor, test: Tensor, known: set[bytes]) -> dict[str, float]:
    """Of volumes (n, 1, 16, 16, 16), occupied above 1/2, against as many test shapes; `known` are those trained on."""
    solid = volumes > 0.5
    near = density_coverage(test.flatten(1), solid.float().flatten(1))
    return {
        "coverage": near.coverage,
        "density": near.density,
        "largest piece": float(np.mean([largest_piece(volume) for volume in solid[:, 0].cpu().numpy()])),
        "asymmetry": float(asymmetry(solid).mean()),
        "copies": float(np.mean([shape in known for shape in _as_bytes(volumes)])),
    }


def _as_bytes(volumes: Tensor) -> list[bytes]:
    """Equal for equal shapes."""
    return [row.tobytes() for row in np.packbits((volumes > 0.5).flatten(1).cpu().numpy(), axis=1)]


def largest_piece(solid: np.ndarray) -> float:
    """Share of the occupied voxels that hang together by their faces in one piece; 0 for an empty volume."""
    from scipy.ndimage import label

    pieces, _ = label(solid)
    return float(np.bincount(pieces[solid]).max() / solid.sum()) if solid.any() else 0.0


def asymmetry(solid: Tensor) -> Tensor:
    """1 - intersection over union of volumes (n, 1, D, H, W) and their mirror images; 1 for an empty one."""
    mirror = solid.flip(4)
    both, either = (part.flatten(1).sum(1) for part in (solid & mirror, solid | mirror))
    return 1 - both / either.clamp(min=1)


def in_probe(lab: Lab, features: Callable[[Tensor], Tensor]) -> float:
    """Accuracy on new shapes of a linear classifier of features that learnt from few labelled shapes."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    (x, y), (x_test, y_test) = _labelled(lab)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
    classifier.fit(in_batches(features, x).cpu().numpy(), y.numpy())
    return float(classifier.score(in_batches(features, x_test).cpu().numpy(), y_test.numpy()))


def nearest_probe(lab: Lab) -> float:
    (x, y), (x_test, y_test) = _labelled(lab)
    nearest = torch.cdist(x_test.flatten(1), x.flatten(1)).argmin(1).cpu()
    return float((y[nearest] == y_test).float().mean())


def _labelled(lab: Lab) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    return (
        draw_shapes(lab, N_LABELLED * len(KINDS), seed=JUDGE_SEED + 1, held_out=False),
        draw_shapes(lab, lab.size.n_judged, seed=JUDGE_SEED + 2, held_out=True),
    )


def draw_shapes(lab: Lab, n: int, *, seed: int, held_out: bool) -> tuple[Tensor, Tensor]:
    """(volumes on the lab's device, kinds): as many of each kind."""
    kinds = torch.arange(n) % len(KINDS)
    drawn = draw_voxels(kinds, held_out=held_out, generator=torch.Generator().manual_seed(seed))
    return drawn.volumes.to(lab.device), kinds


VOLUMES: dict[str, Experiment] = {
    "gan-3d": Experiment(
        about="3D-GAN",
        paper="https://arxiv.org/abs/1610.07584",
        question="does a GAN of voxels make shapes of sizes it was not shown, and does its critic know their kinds?",
        measures={
            "coverage": Measure("share of the test shapes with a sample in their neighbourhood of voxels", "higher"),
            "density": Measure("samples in the neighbourhoods of test shapes, 1 for equal laws", "higher"),
            "largest piece": Measure("share of the occupied voxels in the largest connected piece", "higher"),
            "asymmetry": Measure("1 - intersection over union with its own mirror image", "lower"),
            "copies": Measure("share that are training shapes, voxel by voxel; no test shape is", "neither"),
            "probe": Measure(f"accuracy of a linear classifier from {N_LABELLED} labelled shapes a kind", "higher"),
        },
        run=gan_3d,
        cpu=Size(steps=1_500, batch_size=32, channels=(64, 32), n_judged=1_000),
        gpu=Size(steps=20_000, batch_size=100, channels=(256, 128), n_judged=5_000),
    ),
}
