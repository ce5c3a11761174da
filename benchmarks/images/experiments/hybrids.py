"""Games with an encoder: what the reconstruction is measured in, and what keeps the codes to the prior."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmarks.data.toys import RING
from benchmarks.images.experiments.experiment import Experiment, Measure, Row, Size
from benchmarks.images.experiments.judging import (
    FID,
    ImageTask,
    gaussian_samples,
    image_task,
    judge_samples,
    real_samples,
)
from benchmarks.images.experiments.lab import JUDGE_SEED, Lab
from benchmarks.images.experiments.modes import OF_A_LAW, Plane
from generative_core import (
    DCGAN,
    GAN,
    VAE,
    VAEGAN,
    AdversarialStep,
    AlphaGAN,
    Autoencoder,
    MaximumLikelihoodStep,
    MLPCritic,
    TrainStep,
)
from generative_core.adversarial.gan import MLPGenerator
from generative_core.adversarial.networks import ConvGenerator, leaky_relu
from generative_core.metrics import accuracy, c2st, frechet_distance, in_batches
from generative_core.nets.conv import ConvEncoder
from generative_core.nets.mlp import MLP

LATENT = 32  # of the images' codes
RING_HIDDEN = (128, 128)


def conv_vae(event_shape: Sequence[int], size: Size) -> VAE:
    """A VAE with the networks of a `VAEGAN` of this size; its scale of pixels is learned."""
    narrow_first = tuple(size.channels)[::-1]
    encoder = ConvEncoder(event_shape, 2 * LATENT, channels=narrow_first, activation=leaky_relu, norm=nn.BatchNorm2d)
    decoder = ConvGenerator(event_shape, latent=LATENT, channels=size.channels)
    return VAE(event_shape, latent=LATENT, encoder=encoder, decoder=decoder)


def vae_gan(lab: Lab, size: Size) -> Sequence[Row]:
    task = image_task(lab)
    torch.manual_seed(lab.seed)
    net = VAEGAN(task.data.event_shape, latent=LATENT, channels=size.channels).to(lab.device)
    lab.train("VAE/GAN", lab.game(net), lab.batches(task.train))
    vae = conv_vae(task.data.event_shape, size).to(lab.device)
    lab.train("VAE", MaximumLikelihoodStep(vae, seed=lab.seed), lab.batches(task.train))
    x = task.test[: task.n]
    with torch.no_grad():
        rebuilt = {"VAE/GAN": net.reconstruct(x), "VAE": vae.decode(vae.posterior(x).loc)}
        drawn = {
            "VAE/GAN": net.sample(task.n, generator=lab.random(7)),
            "VAE": vae.decode(vae.sample_latent(task.n, generator=lab.random(7))),
        }
    pictures = [rebuilt["VAE/GAN"], rebuilt["VAE"], drawn["VAE/GAN"], drawn["VAE"]]
    lab.picture(
        [x[:14], *(rows[:14] for rows in pictures)],
        "test images; their reconstructions by VAE/GAN and by VAE; samples of VAE/GAN; the VAE's decoder's means",
    )
    return [
        Row("VAE/GAN", "ours", _rebuilt(lab, task, rebuilt["VAE/GAN"], drawn["VAE/GAN"])),
        Row("VAE, the same nets; means of its decoder", "ablation", _rebuilt(lab, task, rebuilt["VAE"], drawn["VAE"])),
        Row("a Gaussian a class", "baseline", {"FID samples": gaussian_samples(lab, task)["FID"]}),
        Row("real images", "ceiling", _rebuilt(lab, task, x, task.test[task.n : 2 * task.n])),
    ]


def _rebuilt(lab: Lab, task: ImageTask, rebuilt: Tensor, drawn: Tensor) -> dict[str, float]:
    """What the judge says of reconstructions of the first test images, and of samples.

    Distances of reconstructions are to the test images after the first, so that copies gain nothing by being those.
    """
    x, labels = task.test[: task.n], task.data.labels("test")[: task.n].to(lab.device)
    others = task.test[task.n : 2 * task.n]
    features = [in_batches(task.judge.net.features, images) for images in (others, rebuilt)]
    return {
        "accuracy": accuracy(task.judge.net, rebuilt, labels),
        "FID rebuilt": frechet_distance(*features),
        "FID samples": judge_samples(task, drawn)["FID"],
        "MSE": float((x - rebuilt).square().mean()),
    }


def alpha_gan(lab: Lab, size: Size) -> Sequence[Row]:
    plane = Plane(lab, RING)
    ring = plane.train_data
    n_codes = 2_000
    held_out, _ = RING.sample(n_codes, generator=torch.Generator().manual_seed(JUDGE_SEED))
    held_out = held_out.to(lab.device)
    task = image_task(lab)

    def on_ring(name: str, step: TrainStep) -> None:
        longer = 3 * size.steps  # points are cheap
        lab.train(f"{name}, ring", step, lab.batches(ring, batch_size=256), n_steps=longer)

    torch.manual_seed(lab.seed)
    alpha = AlphaGAN(
        (2,),
        latent=2,
        code_hidden=RING_HIDDEN,
        encoder=MLP(2, 2, hidden=RING_HIDDEN, activation=nn.ReLU),
        decoder=MLPGenerator((2,), latent=2, hidden=RING_HIDDEN),
        critic=MLPCritic((2,), hidden=RING_HIDDEN, activation=leaky_relu, normalise=False),
    ).to(lab.device)
    on_ring("alpha-GAN", AdversarialStep(alpha, lr=1e-3, seed=lab.seed))
    gan = GAN((2,), latent=2, hidden=RING_HIDDEN).to(lab.device)
    on_ring("GAN", AdversarialStep(gan, lr=1e-3, seed=lab.seed))
    vae = VAE((2,), latent=2, hidden=RING_HIDDEN, activation=nn.ReLU).to(lab.device)
    on_ring("VAE", MaximumLikelihoodStep(vae, seed=lab.seed))
    autoencoder = Autoencoder((2,), latent=2, hidden=RING_HIDDEN).to(lab.device)
    on_ring("autoencoder", MaximumLikelihoodStep(autoencoder, seed=lab.seed))

    images = AlphaGAN(task.data.event_shape, latent=LATENT, channels=size.channels).to(lab.device)
    lab.train("alpha-GAN, images", lab.game(images), lab.batches(task.train))
    dcgan = DCGAN(task.data.event_shape, latent=LATENT, channels=size.channels).to(lab.device)
    lab.train("DCGAN, images", lab.game(dcgan), lab.batches(task.train))

    x, noise = task.test[: task.n], torch.randn(n_codes, 2, generator=lab.random(10), device=lab.device)
    with torch.no_grad():
        drawn = {name: net.sample(task.n, generator=lab.random(7)) for name, net in (("alpha", images), ("dc", dcgan))}
        rebuilt, code = images.reconstruct(x), images.encode(x)
        codes = {
            "alpha-GAN": alpha.encode(held_out),
            "VAE": vae.posterior(held_out).draw(generator=lab.random(11))[0],
            "autoencoder": whitened(autoencoder.encode(held_out)),
        }
        modes = {
            name: plane.measure(name, net.sample(plane.n, generator=lab.random(8)).cpu())
            for name, net in (("alpha-GAN", alpha), ("GAN", gan), ("VAE", vae))
        }
    apart = {name: {"C2ST": _against_prior(lab, z)} for name, z in (codes | {"noise": noise}).items()}
    lab.picture(
        [x[:14], rebuilt[:14], drawn["alpha"][:14], drawn["dc"][:14]],
        "test images; their reconstructions by alpha-GAN; samples of alpha-GAN; samples of DCGAN",
    )
    return [
        Row("alpha-GAN on the ring", "ours", modes["alpha-GAN"] | apart["alpha-GAN"]),
        Row("GAN on the ring, the same nets", "ablation", modes["GAN"]),
        Row("autoencoder on the ring, its codes whitened", "ablation", apart["autoencoder"]),
        Row("one Gaussian on the ring", "baseline", plane.gaussian()),
        Row("VAE on the ring", "baseline", modes["VAE"] | apart["VAE"]),
        Row("the ring itself, and N(0, I)", "ceiling", plane.ceiling() | apart["noise"]),
        Row("alpha-GAN on images", "ours", {"FID": judge_samples(task, drawn["alpha"])["FID"],
                                        "C2ST": _against_prior(lab, code)}),
        Row("DCGAN on images, the same nets", "ablation", {"FID": judge_samples(task, drawn["dc"])["FID"]}),
        Row("a Gaussian a class", "baseline", {"FID": gaussian_samples(lab, task)["FID"]}),
        Row("real images", "ceiling", {"FID": real_samples(task)["FID"]}),
    ]  # fmt: skip


def whitened(code: Tensor) -> Tensor:
    """Codes (n, Z) moved and turned to mean zero and covariance I: what is left to tell from N(0, I) is their shape."""
    rows = (code - code.mean(0)).double()
    values, vectors = torch.linalg.eigh(rows.T @ rows / (len(rows) - 1))
    return (rows @ (vectors / values.clamp_min(1e-12).sqrt())).to(code.dtype)


def _against_prior(lab: Lab, code: Tensor) -> float:
    """How well a classifier tells codes of data from draws of N(0, I)."""
    noise = torch.randn(code.shape, generator=lab.random(9), device=code.device)
    return c2st(code, noise).accuracy


HYBRIDS: dict[str, Experiment] = {
    "vae-gan": Experiment(
        about="VAE/GAN",
        paper="https://arxiv.org/abs/1512.09300",
        question="does a likelihood of the critic's features make better images than one of pixels, at a worse MSE?",
        measures={
            "accuracy": Measure("share of reconstructed test images that the judge gives their class", "higher"),
            "FID rebuilt": Measure(
                "Fréchet distance of reconstructions to other test images, judge's features", "lower"
            ),
            "FID samples": FID,
            "MSE": Measure("mean squared error of the reconstructions, pixels in [-1, 1]", "lower"),
        },
        run=vae_gan,
        cpu=Size(steps=1_200, batch_size=32, channels=(128, 64, 32)),
        gpu=Size(steps=40_000, batch_size=128, channels=(256, 128), n_judged=5_000),
    ),
    "alpha-gan": Experiment(
        about="alpha-GAN",
        paper="https://arxiv.org/abs/1706.04987",
        question="does a reconstruction keep a GAN's modes, and a critic of codes the codes to the prior?",
        measures={
            **OF_A_LAW,
            "C2ST": Measure("accuracy of telling codes of data from N(0, I), 0.5 where they are equal", "lower"),
            "FID": FID,
        },
        run=alpha_gan,
        cpu=Size(steps=1_200, batch_size=32, channels=(128, 64, 32)),
        gpu=Size(steps=40_000, batch_size=128, channels=(256, 128), n_judged=5_000),
    ),
}
