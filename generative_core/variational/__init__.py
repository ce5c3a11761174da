"""Explicit density, approximate: latent-variable models trained on a lower bound of log p(x)."""
