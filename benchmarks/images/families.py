"""Which family each case and experiment belongs to, in the README's order; the first of a family stands for it in a
smoke run, so that it is a quick one."""

FAMILIES: dict[str, tuple[str, ...]] = {
    "mixtures": ("gaussian-mixture", "gaussian", "class-gaussian", "variational-mixture"),
    "autoregressive": (
        "made", "made-masks", "fvsbn", "nade", "order-agnostic-nade", "pixelcnn", "gated-pixelcnn", "pixelcnn++",
        "row-lstm", "diagonal-bilstm", "multi-scale-pixelrnn",
    ),
    "flows": ("realnvp", "nice", "glow", "maf"),
    "variational": ("vae", "iwae", "iaf-vae"),
    "diffusion": ("flow-matching", "edm"),
    "Markov chains": ("gsn", "rbm", "dbm"),
    "adversarial": (
        "gan-ring", "gan-gaussians", "dcgan", "conditional-gan", "improved-gan-images", "improved-gan-grid",
        "semi-supervised-gan", "wgan-gp", "wgan-gp-grid", "hinge-gan", "dragan", "vae-gan", "alpha-gan", "anime",
        "stack-gan", "gan-3d", "vae-gan-3d", "midinet",
    ),
    "translation": (
        "disco-gan", "pix2pix", "pix2pix-hd", "cycle-gan", "dtn", "pixel-dtgan", "pg2", "everybody-dance-now", "srgan",
        "srgan-photos", "tp-gan", "inpainting", "watermark-removal", "perceptual-gan", "markovian-gan",
        "style-transfer",
    ),
    "latent operations": (
        "interpolation", "latent-arithmetic", "latent-inpainting", "gan-breeder", "augmentation", "ano-gan", "age-cgan",
        "ic-gan",
    ),
}  # fmt: skip
OTHER = "other"


def family_of(model: str) -> str:
    """The family, or `OTHER` for a name that is not there."""
    return next((family for family, models in FAMILIES.items() if model in models), OTHER)
