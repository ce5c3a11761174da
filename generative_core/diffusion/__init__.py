"""Explicit density, approximate: a chain of small denoising steps, trained on a lower bound of log p(x)."""
