"""Translation without pairs, on domains whose true map is known: cycles, couples and features that must stay."""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.data.recolour import KINDS, read_kind, recolour
from benchmarks.images.experiments.experiment import Experiment, Measure, Row, Size
from benchmarks.images.experiments.lab import Lab
from generative_core import CycleGAN, MaximumLikelihoodStep
from generative_core.metrics import in_batches, psnr
from generative_core.nets.unet import UNet

CYCLE_GAN = {
    "PSNR": Measure("of the translation to the true one, mean of the test pairs, dB", "higher"),
    "PSNR back": Measure("the same from the coloured to the grey images, dB", "higher"),
    "kind": Measure("share of the translations whose colour is that of what is shown", "higher"),
}


def cycle_gan(lab: Lab, size: Size) -> Sequence[Row]:
    """Grey images, bright on black, and inverted ones coloured by kind; the halves of the training set that the two
    domains are made of have no image in common."""
    data = lab.images()
    x, labels = data.events("train"), data.labels("train")
    y = recolour(x, labels)
    n = min(size.n_judged, len(data.labels("test")))
    x_test, labels_test = data.events("test")[:n].to(lab.device), data.labels("test")[:n].to(lab.device)
    y_test, kinds = recolour(x_test, labels_test), KINDS.to(lab.device)[labels_test]

    def judged(made: Tensor | None, back: Tensor | None = None) -> dict[str, float]:
        values = {}
        if made is not None:
            values["PSNR"] = psnr(made, y_test).mean().item()
            values["kind"] = (read_kind(made) == kinds).double().mean().item()
        if back is not None:
            values["PSNR back"] = psnr(back, x_test).mean().item()
        return values

    rows: list[Row] = []
    pictures = [x_test[:12], y_test[:12]]
    half = len(x) // 2
    for name, cycle in (("CycleGAN", 10.0), ("no cycle", 0.0)):
        torch.manual_seed(lab.seed)
        model = CycleGAN(
            y.shape[1:],
            source_shape=x.shape[1:],
            cycle=cycle,
            channels=size.channels[::-1],
            blocks=3,
            critic_channels=size.channels[::-1],
        ).to(lab.device)
        lab.train(name, lab.game(model), unpaired(lab, x[:half], y[half : 2 * half]))
        model.eval()
        made, back = in_batches(model.translate, x_test), in_batches(model.translate_back, y_test)
        rows.append(Row(name, "ours" if not rows else "ablation", judged(made, back)))
        pictures.append(made[:12])
    torch.manual_seed(lab.seed)
    regression = PairedRegression(x.shape[1], y.shape[1], channels=size.channels[::-1]).to(lab.device)
    lab.train("U-Net on pairs", MaximumLikelihoodStep(regression, lr=2e-3, seed=lab.seed), lab.batches(x, y))
    paired = in_batches(regression.translate, x_test)
    lab.picture([*pictures, paired[:12]], "test images; the truth; CycleGAN; no cycle; U-Net on pairs")
    copied = x_test.expand_as(y_test)
    grey = y_test.mean(1, keepdim=True)
    means = y.mean(0).to(lab.device).expand_as(y_test), x.mean(0).to(lab.device).expand_as(x_test)
    return [
        *rows,
        Row("copy of the input", "baseline", judged(copied, grey)),
        Row("inverted by hand, no colour", "baseline", judged(-copied, -grey)),
        Row("the mean target image", "baseline", judged(*means)),
        Row("U-Net on pairs, L1", "ceiling", judged(paired)),
    ]


class PairedRegression(nn.Module):
    """The ceiling: E |tanh(U(x)) - y|, from pairs.  `loss` takes (x, y), y in the place of a context."""

    def __init__(self, in_channels: int, out_channels: int, *, channels: Sequence[int]) -> None:
        super().__init__()
        self.net = UNet(in_channels, out_channels, channels=channels)

    def translate(self, x: Tensor) -> Tensor:
        return self.net(x).tanh()

    def loss(self, x: Tensor, context: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        assert context is not None
        return F.l1_loss(self.translate(x), context, reduction="none").flatten(1).mean(1)


def unpaired(lab: Lab, x: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches (x, y) from two sets whose rows have nothing to do with one another."""
    for (a,), (b,) in zip(lab.batches(x), lab.batches(y), strict=True):
        yield a, b


UNPAIRED: dict[str, Experiment] = {
    "cycle-gan": Experiment(
        about="CycleGAN",
        paper="https://arxiv.org/abs/1703.10593",
        question="does the way back find the true map where no pair is shown?",
        measures=CYCLE_GAN,
        run=cycle_gan,
        cpu=Size(steps=1_200, batch_size=8, channels=(32, 16)),
        gpu=Size(steps=40_000, batch_size=16, channels=(128, 64, 32), n_judged=10_000),
    ),
}
