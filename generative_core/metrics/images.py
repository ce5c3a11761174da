"""How near an image is to the one it should be."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def psnr(
    x: Float[Tensor, "B C H W"], target: Float[Tensor, "B C H W"], *, data_range: float = 2.0
) -> Float[Tensor, "B"]:
    """Peak signal-to-noise ratio, 10 log10(range^2 / MSE), dB; higher is better, inf for equal images.

    `data_range` is 2 for images in [-1, 1].
    """
    mean_square = (x - target).square().flatten(1).mean(1)
    return 10 * (data_range**2 / mean_square).log10()


def ssim(
    x: Float[Tensor, "B C H W"], target: Float[Tensor, "B C H W"], *, data_range: float = 2.0
) -> Float[Tensor, "B"]:
    """Structural similarity, at most 1, which is for equal images; the mean over windows and channels.

        (2 m_x m_y + c_1) (2 s_xy + c_2) / ((m_x^2 + m_y^2 + c_1) (s_x^2 + s_y^2 + c_2))

    with means and covariances under a Gaussian window of 11 x 11 pixels, std 1.5, wholly inside the image, and
    c = (0.01 range)^2, (0.03 range)^2.  Raises ValueError for images smaller than the window.

    Paper: Wang et al. 2004, https://doi.org/10.1109/TIP.2003.819861, eq. 13 and sec. III-C.
    """
    side, std = 11, 1.5
    n_channels = x.shape[1]
    if min(x.shape[2:]) < side:
        raise ValueError(
            f"ssim looks through a window of {side} x {side} pixels, and these images have {tuple(x.shape[2:])}; "
            "use psnr, or enlarge both sides alike"
        )
    offset = torch.arange(side, dtype=x.dtype, device=x.device) - side // 2
    weights = (-offset.square() / (2 * std**2)).exp()
    weights = weights / weights.sum()
    window = weights.outer(weights).expand(n_channels, 1, side, side)

    def mean(image: Tensor) -> Tensor:
        return F.conv2d(image, window, groups=n_channels)

    mean_x, mean_y = mean(x), mean(target)
    variance_x, variance_y = mean(x.square()) - mean_x.square(), mean(target.square()) - mean_y.square()
    covariance = mean(x * target) - mean_x * mean_y
    c_1, c_2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    luminance = (2 * mean_x * mean_y + c_1) / (mean_x.square() + mean_y.square() + c_1)
    structure = (2 * covariance + c_2) / (variance_x + variance_y + c_2)
    return (luminance * structure).flatten(1).mean(1)
