"""Operations on latents: paths between images, anomalies, and holes filled by search."""

from collections.abc import Sequence

import torch
from torch import Tensor

from benchmarks.data.damage import scratch
from benchmarks.images.experiments.experiment import Experiment, Measure, Row, Size
from benchmarks.images.experiments.hybrids import LATENT, conv_vae
from benchmarks.images.experiments.judging import ImageTask, distance_to_others, image_task
from benchmarks.images.experiments.lab import Lab
from benchmarks.images.experiments.repair import hidden_squares, holes
from benchmarks.images.experiments.repair import train as train_filler
from generative_core import (
    DCGAN,
    NICE,
    AnoGAN,
    Autoencoder,
    ContextEncoder,
    DiscretisedLogisticMixture,
    MaximumLikelihoodStep,
    OrderAgnosticNADE,
    complete,
    inpaint,
    interpolate,
    invert,
    walk,
)
from generative_core.metrics import accuracy, in_batches

N_ENDS = 200  # images that paths begin at, and as many that they end at
N_PATHS = 1_000
N_POINTS = 9  # of a path
SEARCH_STEPS = 60  # of AnoGAN from each of its starts
NORMAL = (2, 4, 6)  # pullovers, coats and shirts, which look alike; three digits in a smoke run


def train_dcgan(lab: Lab, name: str, x: Tensor, size: Size, *, n_steps: int | None = None) -> DCGAN:
    """A small DCGAN of these images, in evaluation mode."""
    model = DCGAN(tuple(x.shape[1:]), latent=LATENT, channels=size.channels).to(lab.device)
    lab.train(name, lab.game(model, n_steps=n_steps), lab.batches(x), n_steps=n_steps)
    return model


def interpolation(lab: Lab, size: Size) -> Sequence[Row]:
    task = image_task(lab)
    shape = task.data.event_shape
    torch.manual_seed(lab.seed)
    flow = NICE(shape, hidden=(16 * size.channels[0],) * 2).to(lab.device)
    noisy = lab.images(pixels="dequantised").events("train").to(lab.device)
    lab.train("NICE", MaximumLikelihoodStep(flow, seed=lab.seed), lab.batches(noisy))
    vae = conv_vae(shape, size).to(lab.device)
    lab.train("VAE", MaximumLikelihoodStep(vae, seed=lab.seed), lab.batches(task.train))
    gan = train_dcgan(lab, "DCGAN", task.train, size)
    # the search for codes is what takes the time, so each image is an end of several paths, never of the same two
    n = min(N_ENDS, task.n // 2)
    turns = range(-(-min(N_PATHS, n * n) // n) if not lab.smoke else 1)
    place = torch.arange(n, device=lab.device)
    start, stop = place.repeat(len(turns)), torch.cat([place.roll(-k) for k in turns])
    images = task.test[:n], task.test[n : 2 * n]
    search = 2 if lab.smoke else 150
    codes = [invert(gan.generator, x, steps=search, restarts=2, generator=lab.random(3)).z for x in images]
    ends, (z0, z1) = (images[0][start], images[1][stop]), (codes[0][start], codes[1][stop])
    share = torch.linspace(0, 1, N_POINTS, device=lab.device).view(-1, 1, 1, 1, 1)
    with torch.no_grad():
        mean0, mean1 = (vae.posterior(x).loc for x in ends)
        paths = {
            "NICE, by its own codes": interpolate(flow, *ends, N_POINTS),
            "VAE, by its encoder": walk(vae.decode, mean0, mean1, N_POINTS),
            "DCGAN, by search": walk(gan.generator, z0, z1, N_POINTS),
            "cross-fading pixels": torch.lerp(ends[0][None], ends[1][None], share),
        }
    lab.picture(
        [path[:, i].clamp(-1, 1) for i in (0, 1) for path in paths.values()],
        "two pairs of test images: " + "; ".join(paths),
    )
    rows = [
        Row(name, "baseline" if name.startswith("cross") else "ours", _path_measures(task, path.clamp(-1, 1), ends))
        for name, path in paths.items()
    ]
    real = task.test[: min(len(start), task.n)]
    return [*rows, Row("real images", "ceiling", {"FID middle": distance_to_others(task, real)})]


def _path_measures(task: ImageTask, path: Tensor, ends: tuple[Tensor, Tensor]) -> dict[str, float]:
    """Of paths (N_POINTS, n, *E)."""
    seen = torch.stack([in_batches(task.judge.net.features, images) for images in path])
    moves = (seen[1:] - seen[:-1]).norm(dim=2)  # (N_POINTS - 1, n)
    # of the images that were given: a model that maps both ends to one image would have a path without length
    start, stop = (in_batches(task.judge.net.features, x) for x in ends)
    apart = (stop - start).norm(dim=1).clamp_min(1e-6)
    error = torch.stack([(path[i] - x).square().mean() for i, x in zip((0, -1), ends, strict=True)])
    return {
        "end error": float(error.mean().sqrt()),
        "largest step": float((moves.amax(0) * len(moves) / apart).median()),
        "detour": float((moves.sum(0) / apart).median()),
        "FID middle": distance_to_others(task, path[N_POINTS // 2]),
    }


def ano_gan(lab: Lab, size: Size) -> Sequence[Row]:
    data = lab.images()
    train, test = data.events("train").to(lab.device), data.events("test").to(lab.device)
    labels, test_labels = data.labels("train").to(lab.device), data.labels("test").to(lab.device)
    n = size.n_judged // 2
    values: dict[str, list[dict[str, float]]] = {}
    pictures: list[Tensor] = []
    for normal in NORMAL:
        torch.manual_seed(lab.seed)
        own = train[labels == normal]
        gan = train_dcgan(lab, f"DCGAN of class {normal}", own, size)
        steps = 2 if lab.smoke else SEARCH_STEPS
        # few steps, so long ones, from two starts
        detector, pixels_only = (
            AnoGAN(gan.generator, gan.critic.embed, weight=weight, steps=steps, lr=0.1, restarts=2)
            for weight in (0.1, 0.0)
        )
        autoencoder = Autoencoder(data.event_shape, latent=LATENT, hidden=(256,)).to(lab.device)
        lab.train(f"autoencoder of class {normal}", MaximumLikelihoodStep(autoencoder), lab.batches(own))
        mean = own.flatten(1).mean(0)
        basis = torch.linalg.svd(own[:5_000].flatten(1) - mean, full_matrices=False).Vh[:LATENT]

        def by_pca(x: Tensor, mean: Tensor = mean, basis: Tensor = basis) -> Tensor:
            return ((x.flatten(1) - mean) @ basis.T @ basis + mean).view_as(x)

        good = test[test_labels == normal][:n]
        other = test[test_labels != normal][: len(good)]
        scratched, mask = (t.to(lab.device) for t in scratch(good.cpu(), generator=torch.Generator().manual_seed(5)))
        x = torch.cat([good, other, scratched])
        is_odd = torch.arange(2 * len(good)) >= len(good)
        outcomes: dict[str, tuple[Tensor, Tensor]] = {}  # scores, residuals
        for name, found in (("AnoGAN", detector), ("AnoGAN, pixels only", pixels_only)):
            seen = found.inspect(x, generator=lab.random(4))
            outcomes[name] = seen.score, seen.residual
            if found is detector:
                made = seen.made[len(is_odd) :][:12]
        with torch.no_grad():
            for name, rebuild in (("autoencoder residual", autoencoder.reconstruct), ("PCA residual", by_pca)):
                residual = (x - rebuild(x)).abs()
                outcomes[name] = residual.square().flatten(1).sum(1), residual
        for name, (score, residual) in outcomes.items():
            found_iou = scratch_iou(residual[len(is_odd) :], mask)
            values.setdefault(name, []).append({"AUROC": auroc(score[: len(is_odd)], is_odd), "IoU": found_iou})
        shown = outcomes["AnoGAN"][1][len(is_odd) :][:12]
        pictures += [scratched[:12], made, (shown - 1).clamp(-1, 1)]
    lab.picture(pictures, "for each normal class: scratched images; the nearest that AnoGAN finds; its residual")
    mean_of = {name: {k: sum(v[k] for v in each) / len(each) for k in each[0]} for name, each in values.items()}
    roles = {"AnoGAN": "ours", "AnoGAN, pixels only": "ablation"}
    rows = [Row(name, roles.get(name, "baseline"), value) for name, value in mean_of.items()]  # type: ignore[arg-type]  # a Role
    return rows


def auroc(score: Tensor, is_odd: Tensor) -> float:
    """Chance that an anomaly has the higher score."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(is_odd.cpu().numpy(), score.cpu().numpy()))


def scratch_iou(residual: Tensor, mask: Tensor) -> float:
    """Intersection over union of a scratch and as many pixels of the largest residual; the mean over images."""
    values = []
    for image, truth in zip(residual.sum(1).flatten(1), mask.flatten(1), strict=True):
        found = torch.zeros_like(truth)
        found[image.topk(int(truth.sum())).indices] = True
        values.append(float((found & truth).sum() / (found | truth).sum()))
    return sum(values) / len(values)


def latent_inpainting(lab: Lab, size: Size) -> Sequence[Row]:
    task = image_task(lab)
    torch.manual_seed(lab.seed)
    gan = train_dcgan(lab, "DCGAN", task.train, size)
    n = task.n // 8
    x, labels = task.test[:n], task.data.labels("test")[:n].to(lab.device)
    known = 1 - hidden_squares(x)

    def by_search(realism: float) -> Tensor:
        steps = 2 if lab.smoke else 150
        return inpaint(
            gan.generator, gan.critic, x, known, realism=realism, steps=steps, restarts=2, generator=lab.random(3)
        )[0]

    torch.manual_seed(lab.seed)
    encoder = ContextEncoder(task.data.event_shape, channels=size.channels[::-1])
    encoder = train_filler(lab, task, "context encoder", encoder, holes)
    nade = OrderAgnosticNADE(
        task.data.event_shape,
        hidden=(4 * size.channels[0],),
        conditional=DiscretisedLogisticMixture(components=2, levels=256),
    ).to(lab.device)
    step = MaximumLikelihoodStep(nade, seed=lab.seed)
    lab.train("order-agnostic NADE", step, lab.batches(task.train), n_steps=max(size.steps // 2, 1))
    hidden = torch.cat([torch.where(known > 0, x, 0), 1 - known], dim=1)

    filled: dict[str, Tensor] = {
        "latent search": by_search(1.0),
        "latent search without realism": by_search(0.0),
        "context encoder": in_batches(encoder.translate, hidden),
        "a draw of an order-agnostic NADE": complete(nade, x, known > 0, generator=lab.random(4)),
        "mean of the training images": torch.where(known > 0, x, task.train.mean(0)),
        "nearest training image": torch.where(known > 0, x, _nearest(task.train, x, known)),
        "the image itself": x,
    }
    roles = ("ours", "ablation", "ours", "ours", "baseline", "baseline", "ceiling")
    lab.picture(
        [torch.where(known > 0, x, 0)[:14], *(images[:14] for images in filled.values())],
        "test images with a hole; " + "; ".join(filled),
    )
    rows = []
    for role, (name, images) in zip(roles, filled.items(), strict=True):
        value = {"accuracy": accuracy(task.judge.net, images, labels)}
        if role != "ceiling":
            square = ((images - x).square() * (1 - known)).flatten(1).sum(1) / (1 - known).flatten(1).sum(1)
            value["PSNR"] = float((10 * (4 / square.clamp_min(1e-9)).log10()).mean())
        rows.append(Row(name, role, value))  # type: ignore[arg-type]  # a Role
    return rows


def _nearest(train: Tensor, x: Tensor, known: Tensor) -> Tensor:
    """For each image the training image that is nearest in its known pixels."""
    flat = train.flatten(1)
    norms = flat.square()
    chosen = []
    for image, mask in zip(x.flatten(1), known.flatten(1), strict=True):
        distance = norms @ mask - 2 * flat @ (mask * image)
        chosen.append(train[int(distance.argmin())])
    return torch.stack(chosen)


_ABOUT_ENDS = Measure("root mean squared error of the two ends to the images, pixels in [-1, 1]", "lower")

LATENT_OPERATIONS: dict[str, Experiment] = {
    "interpolation": Experiment(
        about="Paths between images through latents",
        paper="https://arxiv.org/abs/1609.04468",
        question="which models have a code for an image, and do images on the way between two look real?",
        measures={
            "FID middle": Measure(
                "Fréchet distance of the middles, of 200 x 5 pairs, to test images that are no ends", "lower"
            ),
            "end error": _ABOUT_ENDS,
            "largest step": Measure(
                "largest of eight steps over an eighth of the distance of the real images, judge's features; median",
                "lower",
            ),
            "detour": Measure(
                "length of the path over the distance of the two real images, judge's features; median", "lower"
            ),
        },
        run=interpolation,
        cpu=Size(steps=1_500, batch_size=32, channels=(128, 64, 32)),
        gpu=Size(steps=20_000, batch_size=128, channels=(256, 128), n_judged=5_000),
    ),
    "ano-gan": Experiment(
        about="AnoGAN",
        paper="https://arxiv.org/abs/1703.05921",
        question="does the part of an image that a GAN of normal ones cannot make tell anomalies, and where they are?",
        measures={
            "AUROC": Measure("area under the ROC curve, one class normal, mean over three classes", "higher"),
            "IoU": Measure("intersection over union of residual and scratch, of as many pixels", "higher"),
        },
        run=ano_gan,
        cpu=Size(steps=500, batch_size=32, channels=(128, 64, 32), n_judged=240),
        gpu=Size(steps=10_000, batch_size=128, channels=(256, 128), n_judged=2_000),
    ),
    "latent-inpainting": Experiment(
        about="Inpainting by latent search",
        paper="https://arxiv.org/abs/1607.07539",
        question="what fills a hole best: the nearest image of a GAN, a network trained to, or an autoregressive draw?",
        measures={
            "PSNR": Measure("peak signal-to-noise ratio inside the hole, dB", "higher"),
            "accuracy": Measure("share of the filled images that the judge gives their class", "higher"),
        },
        run=latent_inpainting,
        cpu=Size(steps=1_500, batch_size=32, channels=(128, 64, 32), n_judged=1_600),
        gpu=Size(steps=40_000, batch_size=128, channels=(256, 128), n_judged=5_000),
    ),
}
