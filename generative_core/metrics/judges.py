"""A classifier of the data as a judge of samples: trained here, on the spot, since no pretrained network is needed.

Its features stand in for Inception's in the Frechet distance and its classes say what a sample shows.  Numbers from a
judge compare only with numbers from the same one, so every result names its `sha256`.  A model that was itself trained
against a network's features must be judged by another: train two, seeds apart.
"""

import hashlib
import json
import os
import secrets
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

FORMAT = "generative_core judge 1"


@final
class JudgeCNN(nn.Module):
    """Two blocks of (5 x 5 convolution of stride 2, batch norm, ReLU), a hidden layer of features, and the classes.

    x (B, C, H, W) -> logits (B, n_classes); `features` are the hidden layer after its ReLU, (B, n_features) >= 0.
    Raises ValueError for events that are no images.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        n_classes: int,
        channels: tuple[int, int] = (32, 64),
        n_features: int = 128,
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        if len(self.event_shape) != 3:
            raise ValueError(
                f"JudgeCNN judges images (C, H, W), got events of shape {self.event_shape}; for vectors use a metric "
                "that needs no network, such as mmd_squared or c2st"
            )
        self.n_classes = n_classes
        in_channels, height, width = self.event_shape
        self.blocks = nn.Sequential(*_block(in_channels, channels[0]), *_block(channels[0], channels[1]))
        n_places = -(-height // 4) * -(-width // 4)  # each block halves the sides, odd ones rounded up
        self.hidden = nn.Linear(channels[1] * n_places, n_features)
        self.head = nn.Linear(n_features, n_classes)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        """Logits of the classes."""
        return self.head(self.features(x))

    def features(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """What the Frechet distance is taken over."""
        return F.relu(self.hidden(self.blocks(x).flatten(1)))


def _block(n_in: int, n_out: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(n_in, n_out, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()


@dataclass(frozen=True, kw_only=True)
class JudgeConfig:
    """How a judge is trained: Adam with one linear warm-up (a tenth of the updates) and a linear decay to zero."""

    epochs: int = 5
    batch_size: int = 128
    lr: float = 3e-3
    """At the end of the warm-up."""
    seed: int = 0
    """Of the first weights and of the order of the rows."""


class Judge(NamedTuple):
    """A trained classifier and what a result says of it."""

    net: JudgeCNN
    """In evaluation mode."""
    sha256: str
    """Of its weights."""
    test_accuracy: float
    """On real test events: the ceiling of what a conditional model's samples can reach."""
    train_seconds: float
    """When it was trained, which may have been earlier."""


def load_judge(
    x: Float[Tensor, "n C H W"],
    labels: Int[Tensor, "n"],
    x_test: Float[Tensor, "m C H W"],
    labels_test: Int[Tensor, "m"],
    *,
    n_classes: int,
    config: JudgeConfig | None = None,
    folder: Path | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
) -> Judge:
    """The judge of these training events: from `folder` (the user's cache), or trained now and put there.

    A file belongs to the exact training data and configuration.  One that is damaged is made anew, and a folder that
    cannot be written is done without; both warn.
    """
    config = config or JudgeConfig()
    if folder is None:
        from platformdirs import user_cache_path

        folder = user_cache_path("generative_core") / "judges"
    path = folder / f"{_key(x, labels, n_classes, config)}.safetensors"
    if path.is_file():
        try:
            judge = _read(path, x.device)
            # the file is known by its training data alone: the events to test on may be others than when it was made
            return judge._replace(test_accuracy=accuracy(judge.net, x_test, labels_test))
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            warnings.warn(f"training the judge anew: {path} is damaged ({error})", stacklevel=2)
    started = time.perf_counter()
    net = train_judge(x, labels, n_classes=n_classes, config=config, on_epoch=on_epoch)
    seconds = time.perf_counter() - started
    judge = Judge(net, weights_sha256(net), accuracy(net, x_test, labels_test), seconds)
    try:
        _write(path, judge)
    except OSError as error:
        warnings.warn(f"the judge is not kept for the next time ({error})", stacklevel=2)
    return judge


def train_judge(
    x: Float[Tensor, "n C H W"],
    labels: Int[Tensor, "n"],
    *,
    n_classes: int,
    config: JudgeConfig | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
) -> JudgeCNN:
    """A classifier in evaluation mode, on the device of x; the same for the same seed, machine and count of threads.

    `on_epoch` is called with (epochs done, mean loss of the last one in nats).  Raises ValueError for labels outside
    0 .. n_classes - 1 or fewer rows than a batch.
    """
    config = config or JudgeConfig()
    if not 0 <= int(labels.min()) <= int(labels.max()) < n_classes:
        raise ValueError(f"labels must be 0 .. {n_classes - 1}, got {int(labels.min())} .. {int(labels.max())}")
    if len(x) < config.batch_size:
        raise ValueError(f"training needs a batch of {config.batch_size} rows or more, got {len(x)}")
    generator = torch.Generator().manual_seed(config.seed)
    with torch.random.fork_rng(devices=[]):  # the layers' own first weights are thrown away
        net = JudgeCNN(x.shape[1:], n_classes=n_classes)
    _initialise(net, generator)
    net.to(x.device, x.dtype).train()
    n_batches = len(x) // config.batch_size
    total = config.epochs * n_batches
    warm_up = max(total // 10, 1)
    optimiser = torch.optim.Adam(net.parameters(), lr=config.lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda i: min((i + 1) / warm_up, (total - i) / max(total - warm_up, 1))
    )
    for epoch in range(config.epochs):
        order = torch.randperm(len(x), generator=generator).to(x.device)
        sum_loss = torch.zeros((), device=x.device)
        for rows in order[: n_batches * config.batch_size].split(config.batch_size):
            loss = F.cross_entropy(net(x[rows]), labels[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            sum_loss += loss.detach()
        if on_epoch is not None:
            on_epoch(epoch + 1, float(sum_loss / n_batches))
    return net.eval()


def _initialise(net: JudgeCNN, generator: torch.Generator) -> None:
    """Kaiming's uniform weights (https://arxiv.org/abs/1502.01852) and zero biases, from one generator."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            bound = (6 / module.weight[0].numel()) ** 0.5
            with torch.no_grad():
                module.weight.uniform_(-bound, bound, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


@torch.no_grad()
def in_batches(
    function: Callable[[Tensor], Tensor], x: Float[Tensor, "n *E"], *, batch_size: int = 500
) -> Float[Tensor, "n *F"]:
    """function(x), some rows at a time and without gradients: `in_batches(judge.net.features, x)`."""
    return torch.cat([function(batch) for batch in x.split(batch_size)])


def accuracy(net: nn.Module, x: Float[Tensor, "n *E"], labels: Int[Tensor, "n"]) -> float:
    """Share of the events that `net`, in evaluation mode, gives the class of their label.

    With a conditional model's samples and the classes that were asked for: how far it does what it is told.
    """
    return float((in_batches(net, x).argmax(1) == labels).double().mean())


def weights_sha256(net: nn.Module) -> str:
    """SHA-256 of the names, shapes and bytes of all tensors of a network."""
    digest = hashlib.sha256()
    for name, tensor in sorted(net.state_dict().items()):
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


def _key(x: Tensor, labels: Tensor, n_classes: int, config: JudgeConfig) -> str:
    """Name of the training data and configuration."""
    said = [FORMAT, list(x.shape), str(x.dtype), n_classes, asdict(config)]
    digest = hashlib.sha256(json.dumps(said).encode())
    digest.update(_bytes(x))
    digest.update(_bytes(labels))
    return digest.hexdigest()[:24]


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def _write(path: Path, judge: Judge) -> None:
    """Whole or not at all."""
    from safetensors.torch import save

    card = {
        "format": FORMAT,
        "event_shape": list(judge.net.event_shape),
        "n_classes": judge.net.n_classes,
        "sha256": judge.sha256,
        "test_accuracy": judge.test_accuracy,
        "train_seconds": judge.train_seconds,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.write_bytes(save(judge.net.state_dict(), {"card": json.dumps(card)}))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _read(path: Path, device: torch.device) -> Judge:
    """Raises one of several errors on a file that is damaged; `load_judge` knows them."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            card: dict[str, Any] = json.loads(file.metadata()["card"])
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
    except (SafetensorError, TypeError) as error:
        raise ValueError(str(error)) from error
    with torch.random.fork_rng(devices=[]):
        net = JudgeCNN(card["event_shape"], n_classes=card["n_classes"])
    dtype = state["head.weight"].dtype
    net.to(dtype).load_state_dict(state)
    if card["format"] != FORMAT or weights_sha256(net) != card["sha256"]:
        raise ValueError("its weights do not match their checksum")
    return Judge(net.to(device).eval(), card["sha256"], card["test_accuracy"], card["train_seconds"])
