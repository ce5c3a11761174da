"""Explicit, tractable: Gaussians and their mixtures, fitted in closed form or by coordinate ascent."""
