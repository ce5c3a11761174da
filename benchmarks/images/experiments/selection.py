"""What a conditional generator is good for: breeding images by taste, and enlarging small sets."""

from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.images.experiments.experiment import Experiment, Measure, Role, Row, Size
from benchmarks.images.experiments.hybrids import LATENT
from benchmarks.images.experiments.judging import distance_to_others, image_task
from benchmarks.images.experiments.lab import SECOND_JUDGE_SEED, Lab
from benchmarks.images.experiments.labels import shift_and_mirror
from generative_core import (
    NICE,
    VAE,
    AdversarialStep,
    ClassConditionalGaussian,
    ConditionalGAN,
    Genealogy,
    MaximumLikelihoodStep,
    Sampler,
    augment,
    breed,
    invert,
)
from generative_core.latent.breeding import Birth
from generative_core.metrics import JudgeCNN, accuracy

N_USERS = 5  # of each taste
LITTER, SURVIVORS = 16, 4
LABELS_PER_CLASS = (20, 100)
ADDED_PER_CLASS = 100
N_SEEDS = 3
CLASSIFIER_UPDATES = 120
CLASSIFIER_BATCH = 64
CLASSIFIER_LR = 3e-3  # at the first update, and from there linearly to zero


def gan_breeder(lab: Lab, size: Size) -> Sequence[Row]:
    task = image_task(lab)
    torch.manual_seed(lab.seed)
    n_classes = task.data.n_classes
    gan = ConditionalGAN(task.data.event_shape, context_features=n_classes, latent=LATENT, channels=size.channels)
    batches = lab.batches(task.train, task.data.contexts("train"))
    lab.train("conditional GAN", lab.game(gan), batches)
    labels, labels_test = (task.data.labels(split) for split in ("train", "test"))
    second = lab.judge(
        "fashion-mnist, second judge", task.train, labels, task.test, labels_test, seed=SECOND_JUDGE_SEED
    ).net
    generations = 2 if lab.smoke else 30
    budget = (generations + 1) * LITTER
    like_a_target = [_near(image) for image in task.test[:N_USERS]]
    tastes = [*like_a_target, *(_between(task.judge.net, k, (k + 3) % n_classes) for k in range(N_USERS))]
    # what a search has found by one judge's faults, another judge does not see
    reports = [*like_a_target, *(_between(second, k, (k + 3) % n_classes) for k in range(N_USERS))]
    best: dict[str, list[float]] = {"bred": [], "random": [], "founders": []}
    images: dict[str, list[Tensor]] = {"bred": [], "random": [], "founders": []}
    replayed = []
    for i, (taste, report) in enumerate(zip(tastes, reports, strict=True)):
        random = torch.Generator().manual_seed(lab.seed * 1_000 + i)
        genealogy, fitness = breed(
            gan.generator, taste, n_classes=n_classes, generations=generations, litter=LITTER, survivors=SURVIVORS,
            generator=random,
        )  # fmt: skip
        bred = _made(lab, gan, genealogy)
        replayed.append(float(torch.equal(bred, _made(lab, gan, genealogy.replay()))))
        by_luck = _made(lab, gan, random_mixes(n_classes, budget, random))[2::3]  # of each three the cross alone
        chosen = {
            "bred": bred[fitness.argmax()],
            "random": by_luck[taste(by_luck).argmax()],
            "founders": bred[fitness[:LITTER].argmax()],
        }
        for name, image in chosen.items():
            best[name].append(float(report(image[None])))
            images[name].append(image)
    search = invert(
        gan.generator,
        task.test[:N_USERS],
        context=task.data.contexts("test")[:N_USERS].to(lab.device),
        steps=2 if lab.smoke else 300,
        restarts=4,
        generator=lab.random(3),
    )
    lab.picture(
        [task.test[:N_USERS], *(torch.stack(rows) for rows in images.values())],
        "five targets; bred for them, then for five tastes between two classes; the best of as many random draws; "
        "the best founder",
    )
    rows = {name: {"distance": -_mean(v[:N_USERS]), "between": _mean(v[N_USERS:])} for name, v in best.items()}
    return [
        Row("bred", "ours", {**rows["bred"], "replayed": _mean(replayed)}),
        Row("the best of as many random draws", "ablation", rows["random"]),
        Row("the best founder", "baseline", rows["founders"]),
        Row("search by gradients", "ceiling", {"distance": float(search.residual.mean() / task.test[0].numel())}),
    ]


def _near(target: Tensor) -> Callable[[Tensor], Tensor]:
    """Minus the mean squared error to one image."""
    return lambda x: -(x - target).square().flatten(1).mean(1)


def _between(net: torch.nn.Module, one: int, other: int) -> Callable[[Tensor], Tensor]:
    """The least of twice two classes' probabilities, at most 1: half the one thing, half the other."""

    @torch.no_grad()
    def evenness(x: Tensor) -> Tensor:
        return 2 * net(x).softmax(1)[:, [one, other]].amin(1)

    return evenness


def random_mixes(n_classes: int, n: int, random: torch.Generator) -> Genealogy:
    """n times two founders and their cross, whose z ~ N(0, I) and whose classes are a random mix of two, such as
    breeding reaches."""
    genealogy = Genealogy(LATENT, n_classes)
    for seeds in torch.randint(2**62, (n, 3), generator=random).tolist():
        parents = tuple(genealogy.add(Birth("found", (), seed)) for seed in seeds[:2])
        genealogy.add(Birth("cross", parents, seeds[2]))
    return genealogy


@torch.no_grad()
def _made(lab: Lab, gan: ConditionalGAN, genealogy: Genealogy) -> Tensor:
    z, classes = genealogy.genes(range(len(genealogy.births)))
    return gan.generator(z.to(lab.device), classes.to(lab.device))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def augmentation(lab: Lab, size: Size) -> Sequence[Row]:
    task = image_task(lab)
    data = task.data
    train, labels = task.train, data.labels("train").to(lab.device)
    test, test_labels = (t[: size.n_judged].to(lab.device) for t in (data.events("test"), data.labels("test")))
    n_classes, n_added, n_seeds = data.n_classes, *((8, 2) if lab.smoke else (ADDED_PER_CLASS, N_SEEDS))
    models: dict[str, Callable[[Tensor, Tensor, int], Sampler]] = {
        "a conditional GAN's": lambda x, y, seed: _gan(lab, size, x, y, n_classes, seed),
        "a conditional VAE's": lambda x, y, seed: _vae(lab, size, x, y, n_classes, seed),
        "a conditional flow's": lambda x, y, seed: _flow(lab, size, x, y, n_classes, seed),
        "a Gaussian a class's": lambda x, y, _: ClassConditionalGaussian(x.shape[1:], n_classes=n_classes).fit(x, y),
    }

    def enlarged(name: str, x: Tensor, y: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        if name == "nothing":
            return x, y
        if name == "shifts and flips":
            return _classical(x, y, n_classes * n_added, seed)
        torch.manual_seed(seed)
        model, random = models[name](x, y, seed), torch.Generator(lab.device).manual_seed(seed)
        more, all_labels = augment(x, y, model, n_per_class=n_added, n_classes=n_classes, generator=random)
        return more.clamp(-1, 1), all_labels

    added = ["nothing", "shifts and flips", *models]
    found: dict[str, dict[str, list[float]]] = {name: {} for name in [*added, "real labelled images"]}
    distances: dict[str, dict[str, list[float]]] = {name: {} for name in found}
    pictures: dict[str, Tensor] = {}
    for n_labels in LABELS_PER_CLASS:
        for seed in range(lab.seed * 100, lab.seed * 100 + n_seeds):
            random = torch.Generator().manual_seed(seed)
            order = torch.randperm(len(train), generator=random).to(lab.device)
            own = [order[labels[order] == k] for k in range(n_classes)]
            n_own = n_labels // 5 if lab.smoke else n_labels
            few = torch.cat([rows[:n_own] for rows in own])
            many = torch.cat([rows[: n_own + n_added] for rows in own])
            for name in added:
                x, y = enlarged(name, train[few], labels[few], seed)
                if name != "nothing":
                    more = x[len(few) :][y[len(few) :].argsort(stable=True)]
                    distances[name].setdefault(str(n_labels), []).append(distance_to_others(task, more))
                    pictures[name] = more[:: max(len(more) // (2 * n_classes), 1)][: 2 * n_classes]
                value = _classify(lab, (x, y), (test, test_labels), n_classes, seed)
                found[name].setdefault(str(n_labels), []).append(value)
            more = train[torch.cat([rows[n_own : n_own + n_added] for rows in own])]
            distances["real labelled images"].setdefault(str(n_labels), []).append(distance_to_others(task, more))
            value = _classify(lab, (train[many], labels[many]), (test, test_labels), n_classes, seed)
            found["real labelled images"].setdefault(str(n_labels), []).append(value)
    lab.picture(
        list(pictures.values()),
        f"added to {n_labels} labels a class, seed {seed}, about two of each class in turn: {'; '.join(pictures)}",
    )
    roles: dict[str, Role] = {
        "nothing": "baseline",
        "shifts and flips": "baseline",
        "real labelled images": "ceiling",
    }
    return [
        Row(f"{name} added", roles.get(name, "ours"), _accuracies(by_count, distances[name]))
        for name, by_count in found.items()
    ]


def _accuracies(by_count: dict[str, list[float]], distances: dict[str, list[float]]) -> dict[str, float]:
    values: dict[str, float] = {}
    for count, each in by_count.items():
        values[f"accuracy, {count}"] = _mean(each)
        values[f"std, {count}"] = float(torch.tensor(each).std())
    return values | {f"FID, {count}": _mean(each) for count, each in distances.items()}


def _classify(lab: Lab, seen: tuple[Tensor, Tensor], unseen: tuple[Tensor, Tensor], n_classes: int, seed: int) -> float:
    """Accuracy on real test images of a classifier, after as many updates whatever the count of images it has seen."""
    batch_size = min(CLASSIFIER_BATCH, len(seen[0]))
    updates = 4 if lab.smoke else CLASSIFIER_UPDATES
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = JudgeCNN(seen[0].shape[1:], n_classes=n_classes).to(lab.device)
    batches = lab.batches(*seen, batch_size=batch_size, seed=seed)
    optimiser = torch.optim.Adam(net.parameters(), lr=CLASSIFIER_LR)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda i: 1 - i / updates)
    for _ in range(updates):
        x, y = next(batches)
        optimiser.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimiser.step()
        schedule.step()
    return accuracy(net.eval(), *unseen)


def _classical(x: Tensor, y: Tensor, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """As many copies of random images as the models draw, mirrored half of the time and shifted by up to two pixels."""
    random = torch.Generator().manual_seed(seed)
    rows = torch.randint(len(x), (n,), generator=random).to(x.device)
    moved = shift_and_mirror(x[rows], generator=random)
    return torch.cat([x, moved]), torch.cat([y, y[rows]])


def _gan(lab: Lab, size: Size, x: Tensor, y: Tensor, n_classes: int, seed: int) -> Sampler:
    model = ConditionalGAN(x.shape[1:], context_features=n_classes, latent=LATENT, channels=size.channels).to(
        lab.device
    )
    batches = lab.batches(x, F.one_hot(y, n_classes).float(), seed=seed)
    lab.train(f"GAN of {len(x)}, seed {seed}", AdversarialStep(model.to(lab.device), seed=seed), batches)
    return model


def _vae(lab: Lab, size: Size, x: Tensor, y: Tensor, n_classes: int, seed: int) -> Sampler:
    width = 8 * size.channels[0]
    model = VAE(x.shape[1:], latent=LATENT // 2, context_features=n_classes, hidden=(width, width)).to(lab.device)
    batches = lab.batches(x, F.one_hot(y, n_classes).float(), seed=seed)
    lab.train(f"VAE of {len(x)}, seed {seed}", MaximumLikelihoodStep(model, seed=seed), batches)
    return model


def _flow(lab: Lab, size: Size, x: Tensor, y: Tensor, n_classes: int, seed: int) -> Sampler:
    width = 8 * size.channels[0]
    model = NICE(x.shape[1:], context_features=n_classes, hidden=(width, width)).to(lab.device)
    batches = _dequantised(lab.batches(x, F.one_hot(y, n_classes).float(), seed=seed), lab.random(seed))
    lab.train(f"flow of {len(x)}, seed {seed}", MaximumLikelihoodStep(model, seed=seed), batches)
    return model


def _dequantised(batches: Iterator[tuple[Tensor, ...]], random: torch.Generator) -> Iterator[tuple[Tensor, ...]]:
    """Grey levels with noise as wide as one, which a density needs: where all images are black it would be infinite."""
    for x, *context in batches:
        noise = torch.rand(x.shape, generator=random, device=x.device) - 0.5
        yield x + 2 / 255 * noise, *context


SELECTION: dict[str, Experiment] = {
    "gan-breeder": Experiment(
        about="GanBreeder",
        paper="https://arxiv.org/abs/1809.11096",
        question="does breeding by taste find what as many random draws do not, and does its genealogy replay?",
        measures={
            "distance": Measure("mean squared error of the best to a target image, pixels in [-1, 1]", "lower"),
            "between": Measure(
                "how evenly the best is of two classes, at most 1, by a judge that no search has asked", "higher"
            ),
            "replayed": Measure("share of genealogies whose replay makes the same images bit for bit", "higher"),
        },
        run=gan_breeder,
        cpu=Size(steps=2_500, batch_size=32, channels=(128, 64, 32)),
        gpu=Size(steps=40_000, batch_size=128, channels=(256, 128), n_judged=5_000),
    ),
    "augmentation": Experiment(
        about="Augmentation by samples",
        paper="https://arxiv.org/abs/1711.04340",
        question="do a model's samples, added to the few images that it was fitted to, help a classifier of them?",
        measures={
            "accuracy, 20": Measure("accuracy on test images with 20 labels a class, mean of three seeds", "higher"),
            "std, 20": Measure("its standard deviation over the seeds", "neither"),
            "accuracy, 100": Measure("accuracy on test images with 100 labels a class", "higher"),
            "std, 100": Measure("its standard deviation over the seeds", "neither"),
            **{
                f"FID, {n}": Measure(
                    f"Fréchet distance of what was added to test images, {n} labels a class, mean of the seeds", "lower"
                )
                for n in LABELS_PER_CLASS
            },
        },
        run=augmentation,
        cpu=Size(steps=250, channels=(32, 16)),
        gpu=Size(steps=10_000, channels=(128, 64), n_judged=10_000),
    ),
}
