"""Implicit models from image to image: paired, unpaired and of style."""
