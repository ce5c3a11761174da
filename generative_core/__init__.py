"""Generative models by family, and the training that they share.  This file is the table of contents.

Every model takes `event_shape` first, then keywords.  Scores are higher for what looks more like the data.
"""
# ruff: noqa: I001  the imports follow the taxonomy, not the alphabet

# The port
from generative_core.protocols import Sampler, Scorer, ScoreKind, TrainStep

# The taxonomy
from generative_core.families import (
    AbstractCritic,
    AbstractEnergy,
    AbstractGenerator,
    AbstractTractable,
    AbstractVariational,
)

# Implicit density
from generative_core.adversarial.critic import MLPCritic
from generative_core.adversarial.gan import GAN

# Scorer -> critic
from generative_core.adapters import LogitFromScore, ScoreDifference

# Training
from generative_core.training.batches import ShuffledBatches
from generative_core.training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from generative_core.training.ema import ExponentialMovingAverage
from generative_core.training.fit import fit
from generative_core.training.hooks import MetricHistory, PreviewGrid, ProgressBar, SaveCheckpoint, TensorBoard
from generative_core.training.steps import AdversarialStep, CriticStep, MaximumLikelihoodStep

__all__ = [
    "GAN",
    "AbstractCritic",
    "AbstractEnergy",
    "AbstractGenerator",
    "AbstractTractable",
    "AbstractVariational",
    "AdversarialStep",
    "CheckpointError",
    "CriticStep",
    "ExponentialMovingAverage",
    "LogitFromScore",
    "MLPCritic",
    "MaximumLikelihoodStep",
    "MetricHistory",
    "PreviewGrid",
    "ProgressBar",
    "Sampler",
    "SaveCheckpoint",
    "ScoreDifference",
    "ScoreKind",
    "Scorer",
    "ShuffledBatches",
    "TensorBoard",
    "TrainStep",
    "fit",
    "load_checkpoint",
    "save_checkpoint",
]
