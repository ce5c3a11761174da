"""Images from captions: an exact parser reads what samples show, for captions that no training image had."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.data.scenes import SLOTS, Scenes, all_words, bag_of_words, draw_scenes, is_held_out, parse
from benchmarks.images.experiments.experiment import Experiment, Measure, Row, Size
from benchmarks.images.experiments.lab import JUDGE_SEED, Lab
from generative_core import AdversarialStep, StackGAN

N_WORDS = sum(len(slot) for slot in SLOTS)


def stack_gan(lab: Lab, size: Size) -> Sequence[Row]:
    known = all_words()[~is_held_out(all_words())]
    train = _scenes(lab, known, 200 if lab.smoke else 5_000, seed=lab.seed)
    test = _scenes(lab, all_words()[is_held_out(all_words())], size.n_judged, seed=JUDGE_SEED)
    small = F.avg_pool2d(train.images, 2)
    text, asked = bag_of_words(train.words).to(lab.device), bag_of_words(test.words).to(lab.device)

    def learn(
        name: str, images: Tensor, n_steps: int, below: StackGAN | None = None, mismatch: float = 0.5
    ) -> StackGAN:
        torch.manual_seed(lab.seed)
        shape = tuple(images.shape[1:])
        model = StackGAN(shape, text_features=N_WORDS, below=below, channels=size.channels, mismatch=mismatch)
        # of one length to the end: with dwindling steps half as many captions came out right
        step = AdversarialStep(model.to(lab.device), lr=1e-3, seed=lab.seed)
        trained = lab.train(name, step, lab.batches(images, text), n_steps=n_steps)
        assert isinstance(trained, StackGAN)
        return trained

    half = max(size.steps // 2, 1)
    first = learn("stage I", small, half)
    wrong = learn("stage I without wrong captions", small, half, mismatch=0.0)
    models = {
        "StackGAN": learn("stage II", train.images, half, first),
        "one stage": learn("one stage", train.images, 2 * half),
        "no wrong captions": learn("stage II without wrong captions", train.images, half, wrong, mismatch=0.0),
    }
    with torch.no_grad():
        drawn = {name: model.sample(len(asked), asked, generator=lab.random(7)) for name, model in models.items()}
        coarse = first.sample(len(asked), asked, generator=lab.random(7))
    nearest = train.images[(asked @ text.T).argmax(1)]
    enlarged = F.interpolate(coarse, scale_factor=2.0)
    lab.picture(
        [images[:12] for images in (test.images, enlarged, *drawn.values(), nearest)],
        "scenes of held-out captions; stage I enlarged; both stages; one stage; no wrong captions; nearest caption's",
    )
    return [
        Row("StackGAN", "ours", read(drawn["StackGAN"], test.words)),
        Row("one stage, as many updates", "ablation", read(drawn["one stage"], test.words)),
        Row("a critic shown no wrong captions", "ablation", read(drawn["no wrong captions"], test.words)),
        Row("stage I, enlarged", "ablation", read(enlarged, test.words)),
        Row("the image of the nearest training caption", "baseline", read(nearest, test.words)),
        Row("real scenes", "ceiling", read(test.images, test.words)),
    ]


def read(images: Tensor, words: Tensor) -> dict[str, float]:
    """Shares of the images that show what their captions (n, 5) say."""
    found = parse(images)
    right = found.words.cpu() == words
    return {
        "all": float(right[:, 1:].all(1).float().mean()),
        "colour": float(right[:, 1].float().mean()),
        "shape": float(right[:, 2].float().mean()),
        "position": float(right[:, 3:].all(1).float().mean()),
        "size": float(right[:, 0].float().mean()),
        "overlap": float(found.overlap.mean()),
    }


def _scenes(lab: Lab, captions: Tensor, n: int, *, seed: int) -> Scenes:
    """n scenes of these captions, each as often, in a random order; images on the lab's device."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(n, generator=generator) % len(captions)
    images, words = draw_scenes(captions[order], generator=generator)
    return Scenes(images.to(lab.device), words)


CAPTIONS: dict[str, Experiment] = {
    "stack-gan": Experiment(
        about="StackGAN",
        paper="https://arxiv.org/abs/1612.03242",
        question="do two stages draw new captions better than one, and does the critic need wrong captions?",
        measures={
            "all": Measure("share of samples of held-out captions with the right colour, shape and position", "higher"),
            "colour": Measure("share of the right colour of 4, by an exact parser", "higher"),
            "shape": Measure("share of the right shape of 3", "higher"),
            "position": Measure("share in the right place of 9", "higher"),
            "size": Measure("share of the right size of 2", "higher"),
            "overlap": Measure("intersection over union with the best of the renderer's shapes", "higher"),
        },
        run=stack_gan,
        cpu=Size(steps=3_000, batch_size=32, channels=(32, 16), n_judged=1_000),
        gpu=Size(steps=40_000, channels=(256, 128), n_judged=5_000),
    ),
}
