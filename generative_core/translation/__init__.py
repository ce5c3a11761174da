"""Image to image: games whose generator is given an image."""
