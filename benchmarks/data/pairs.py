"""Edges of images: with the images that they were taken of, pairs for translation."""

import torch
import torch.nn.functional as F
from torch import Tensor


def edges(images: Tensor, *, threshold: float = 0.4) -> Tensor:
    """(n, 1, H, W): 1 where the Sobel gradient of the mean channel exceeds `threshold`, grey values a pixel, else -1.

    An edge of height 1 between two flat sides has gradient 1/2 at the two pixels beside it.
    """
    kernel = images.new_tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8
    grey = F.pad(images.mean(1, keepdim=True), (1, 1, 1, 1), "replicate")
    gradient = F.conv2d(grey, torch.stack([kernel, kernel.T])[:, None])  # (n, 2, H, W)
    return 2 * (gradient.square().sum(1, keepdim=True).sqrt() > threshold).to(images.dtype) - 1
