"""Metrics: functions from tensors to numbers.  The ones that train a network are in `judges.py`.

Each says which way is better, in which unit, and what it depends on beside the model: a metric without its floor (the
data against itself, `real_vs_real`) and its count of events is no result.
"""

from generative_core.metrics.classes import ModeCoverage, inception_score, mode_coverage
from generative_core.metrics.floors import Floor, real_vs_real
from generative_core.metrics.frechet import fid, frechet_distance, gaussian_frechet_distance
from generative_core.metrics.images import psnr, ssim
from generative_core.metrics.judges import (
    Judge,
    JudgeCNN,
    JudgeConfig,
    accuracy,
    in_batches,
    load_judge,
    train_judge,
)
from generative_core.metrics.kernels import KernelDistance, kernel_distance, median_bandwidth, mmd_squared
from generative_core.metrics.likelihood import bits_per_dim
from generative_core.metrics.manifold import DensityCoverage, PrecisionRecall, density_coverage, precision_recall
from generative_core.metrics.two_sample import Classifier, TwoSampleTest, c2st, tstr

__all__ = [
    "Classifier",
    "DensityCoverage",
    "Floor",
    "Judge",
    "JudgeCNN",
    "JudgeConfig",
    "KernelDistance",
    "ModeCoverage",
    "PrecisionRecall",
    "TwoSampleTest",
    "accuracy",
    "bits_per_dim",
    "c2st",
    "density_coverage",
    "fid",
    "frechet_distance",
    "gaussian_frechet_distance",
    "in_batches",
    "inception_score",
    "kernel_distance",
    "load_judge",
    "median_bandwidth",
    "mmd_squared",
    "mode_coverage",
    "precision_recall",
    "psnr",
    "real_vs_real",
    "ssim",
    "train_judge",
    "tstr",
]
