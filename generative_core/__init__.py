"""Generative models by family, and the training that they share.  This file is the table of contents.

Every model takes `event_shape` first, then keywords.  Scores are higher for what looks more like the data.
"""
# ruff: noqa: I001  the imports follow the taxonomy, not the alphabet

# The port
from generative_core.protocols import HasLoss, Sampler, Scorer, ScoreKind, TrainStep

# The taxonomy
from generative_core.families import (
    AbstractCritic,
    AbstractEnergy,
    AbstractGAN,
    AbstractGenerator,
    AbstractTractable,
    AbstractTwoPlayer,
    AbstractVariational,
)

# Explicit density, tractable
from generative_core.mixtures.class_conditional import ClassConditionalGaussian
from generative_core.mixtures.gaussian import Gaussian
from generative_core.mixtures.gaussian_mixture import GaussianMixture
from generative_core.mixtures.kmeans import KMeans
from generative_core.mixtures.variational_mixture import VariationalGaussianMixture
from generative_core.autoregressive import coding
from generative_core.autoregressive.completion import complete
from generative_core.autoregressive.conditionals import (
    Bernoulli,
    Categorical,
    DiscretisedLogisticMixture,
    MixtureOfGaussians,
)
from generative_core.autoregressive.fvsbn import FVSBN
from generative_core.autoregressive.made import MADE
from generative_core.autoregressive.nade import NADE
from generative_core.autoregressive.order_agnostic import OrderAgnosticNADE
from generative_core.autoregressive.row_lstm import RowLSTM
from generative_core.autoregressive.diagonal_bilstm import DiagonalBiLSTM
from generative_core.autoregressive.multi_scale import MultiScalePixelRNN
from generative_core.autoregressive.pixelcnn import PixelCNN
from generative_core.autoregressive.gated_pixelcnn import GatedPixelCNN
from generative_core.autoregressive.pixelcnnpp import PixelCNNPlusPlus
from generative_core.flows.nice import NICE
from generative_core.flows.real_nvp import RealNVP
from generative_core.flows.glow import Glow
from generative_core.flows.maf import MAF
from generative_core.flows.iaf import IAF
from generative_core.flows.flow import Flow

# Explicit density, approximate
from generative_core.diffusion.diffusion import Diffusion
from generative_core.markov_chain.ais import AISEstimate, annealed_importance_sampling, nll
from generative_core.markov_chain.boltzmann_machine import BoltzmannMachine
from generative_core.markov_chain.deep_boltzmann_machine import DeepBoltzmannMachine
from generative_core.markov_chain.gaussian_rbm import GaussianRBM
from generative_core.markov_chain.rbm import RBM
from generative_core.variational.autoencoder import Autoencoder
from generative_core.variational.feature_consistent_vae import FeatureConsistentVAE
from generative_core.variational.iaf_vae import IAFVAE
from generative_core.variational.iwae import IWAE
from generative_core.variational.likelihoods import GaussianLikelihood
from generative_core.variational.vae import VAE

# Implicit density
from generative_core.markov_chain.gsn import GSN
from generative_core.adversarial.critic import MLPCritic
from generative_core.adversarial.gan import GAN
from generative_core.adversarial.dcgan import DCGAN
from generative_core.adversarial.conditional_gan import ConditionalGAN
from generative_core.adversarial.wgan_gp import WGANGP
from generative_core.adversarial.hinge_gan import HingeGAN
from generative_core.adversarial.dragan import DRAGAN
from generative_core.translation.cycle_gan import CycleGAN
from generative_core.translation.disco_gan import DiscoGAN
from generative_core.translation.dtn import DTN
from generative_core.translation.style_transfer import StyleTransfer
from generative_core.translation.markovian_gan import MarkovianGAN
from generative_core.translation.pix2pix import Pix2Pix
from generative_core.translation.pix2pix_hd import Pix2PixHD
from generative_core.translation.pixel_dtgan import PixelDTGAN
from generative_core.translation.pose_guided import PG2
from generative_core.translation.everybody_dance_now import EverybodyDanceNow, normalise_poses
from generative_core.translation.tp_gan import TPGAN

from generative_core.translation.srgan import SRGAN
from generative_core.translation.context_encoder import ContextEncoder
from generative_core.translation.perceptual_gan import PerceptualGAN
from generative_core.diffusion.edm import EDM, Churn
from generative_core.diffusion.flow_matching import FlowMatching
from generative_core.diffusion.solvers import euler_step, heun_step, midpoint_step
from generative_core.adversarial.vae_gan import VAEGAN
from generative_core.adversarial.alpha_gan import AlphaGAN
from generative_core.latent.arithmetic import attribute_vector
from generative_core.latent.interpolation import interpolate, walk
from generative_core.latent.inversion import Inversion, invert
from generative_core.latent.inpainting import inpaint
from generative_core.latent.encoder import LatentEncoder
from generative_core.latent.ano_gan import AnoGAN
from generative_core.latent.age_cgan import AgeCGAN
from generative_core.latent.ic_gan import IcGAN
from generative_core.latent.breeding import Genealogy, breed
from generative_core.latent.augmentation import augment
from generative_core.adversarial.attribute_gan import AttributeGAN
from generative_core.adversarial.gan3d import GAN3D
from generative_core.adversarial.vae_gan3d import VAEGAN3D
from generative_core.adversarial.midinet import MidiNet
from generative_core.adversarial.stack_gan import StackGAN
from generative_core.adversarial.improved_gan import ImprovedGAN
from generative_core.adversarial.semi_supervised_gan import SemiSupervisedGAN

# Scorer -> critic
from generative_core.adapters import LogitFromScore, ScoreDifference

# Training
from generative_core.training.batches import ShuffledBatches
from generative_core.training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from generative_core.training.contrastive_divergence import ContrastiveDivergenceStep
from generative_core.training.ema import ExponentialMovingAverage
from generative_core.training.fit import fit
from generative_core.training.hooks import MetricHistory, PreviewGrid, ProgressBar, SaveCheckpoint, TensorBoard
from generative_core.training.schedules import cosine_decay, linear_decay
from generative_core.training.adversarial import AdversarialStep
from generative_core.training.steps import CriticStep, MaximumLikelihoodStep

__all__ = [
    "DCGAN",
    "DRAGAN",
    "DTN",
    "EDM",
    "FVSBN",
    "GAN",
    "GAN3D",
    "GSN",
    "IAF",
    "IAFVAE",
    "IWAE",
    "MADE",
    "MAF",
    "NADE",
    "NICE",
    "PG2",
    "RBM",
    "SRGAN",
    "TPGAN",
    "VAE",
    "VAEGAN",
    "VAEGAN3D",
    "WGANGP",
    "AISEstimate",
    "AbstractCritic",
    "AbstractEnergy",
    "AbstractGAN",
    "AbstractGenerator",
    "AbstractTractable",
    "AbstractTwoPlayer",
    "AbstractVariational",
    "AdversarialStep",
    "AgeCGAN",
    "AlphaGAN",
    "AnoGAN",
    "AttributeGAN",
    "Autoencoder",
    "Bernoulli",
    "BoltzmannMachine",
    "Categorical",
    "CheckpointError",
    "Churn",
    "ClassConditionalGaussian",
    "ConditionalGAN",
    "ContextEncoder",
    "ContrastiveDivergenceStep",
    "CriticStep",
    "CycleGAN",
    "DeepBoltzmannMachine",
    "DiagonalBiLSTM",
    "Diffusion",
    "DiscoGAN",
    "DiscretisedLogisticMixture",
    "EverybodyDanceNow",
    "ExponentialMovingAverage",
    "FeatureConsistentVAE",
    "Flow",
    "FlowMatching",
    "GatedPixelCNN",
    "Gaussian",
    "GaussianLikelihood",
    "GaussianMixture",
    "GaussianRBM",
    "Genealogy",
    "Glow",
    "HasLoss",
    "HingeGAN",
    "IcGAN",
    "ImprovedGAN",
    "Inversion",
    "KMeans",
    "LatentEncoder",
    "LogitFromScore",
    "MLPCritic",
    "MarkovianGAN",
    "MaximumLikelihoodStep",
    "MetricHistory",
    "MidiNet",
    "MixtureOfGaussians",
    "MultiScalePixelRNN",
    "OrderAgnosticNADE",
    "PerceptualGAN",
    "Pix2Pix",
    "Pix2PixHD",
    "PixelCNN",
    "PixelCNNPlusPlus",
    "PixelDTGAN",
    "PreviewGrid",
    "ProgressBar",
    "RealNVP",
    "RowLSTM",
    "Sampler",
    "SaveCheckpoint",
    "ScoreDifference",
    "ScoreKind",
    "Scorer",
    "SemiSupervisedGAN",
    "ShuffledBatches",
    "StackGAN",
    "StyleTransfer",
    "TensorBoard",
    "TrainStep",
    "VariationalGaussianMixture",
    "annealed_importance_sampling",
    "attribute_vector",
    "augment",
    "breed",
    "coding",
    "complete",
    "cosine_decay",
    "euler_step",
    "fit",
    "heun_step",
    "inpaint",
    "interpolate",
    "invert",
    "linear_decay",
    "load_checkpoint",
    "midpoint_step",
    "nll",
    "normalise_poses",
    "save_checkpoint",
    "walk",
]
