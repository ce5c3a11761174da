"""Test images as files: an autoregressive model with an entropy coder, beside PNG and gzip."""

import gzip
import importlib.util
import io
import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from generative_core import coding
from generative_core.autoregressive.conditionals import DiscreteConditional
from generative_core.autoregressive.protocols import Autoregressive

N_IMAGES = 1000  # so many that the header of some 40 bytes does not count


def codable(model: nn.Module) -> bool:
    """Whether the model has one order and tabulated laws, and the coder is installed."""
    one_order = isinstance(model, Autoregressive) and getattr(model, "n_masks", 1) == 1
    has_levels = isinstance(getattr(model, "conditional", None), DiscreteConditional)
    return one_order and has_levels and importlib.util.find_spec("constriction") is not None


@torch.no_grad()
def sizes(model: Any, x: Tensor) -> dict[str, Any] | None:
    """Bytes of the images x (n, C, H, W) in one file each way, and whether decoding gives them back.

    None for a model that cannot be coded with.
    """
    if not codable(model):
        return None
    levels = model.conditional.index(x).cpu().numpy().astype(np.uint8)
    data = coding.encode(model, x)
    return {
        "images": len(x),
        "model": len(data),
        "minus_log2_p": -model.log_prob(x).double().sum().item() / math.log(2) / 8,
        "png": len(png(levels, is_binary=model.conditional.levels == 2)),
        "gzip": len(gzip.compress(np.packbits(levels).tobytes() if levels.max() < 2 else levels.tobytes(), 9)),
        "decoded_exactly": bool(torch.equal(coding.decode(model, data).to(x), x)),
    }


def png(levels: NDArray[np.uint8], *, is_binary: bool) -> bytes:
    """One sheet of all images (n, C, H, W) below each other, a channel after another; one bit a binary pixel."""
    from PIL import Image

    sheet = levels.reshape(-1, levels.shape[-1])
    file = io.BytesIO()
    image = Image.fromarray(sheet * 255).convert("1", dither=Image.Dither.NONE) if is_binary else Image.fromarray(sheet)
    image.save(file, format="png", optimize=True)
    return file.getvalue()
