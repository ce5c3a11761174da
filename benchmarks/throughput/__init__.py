"""Env steps a second: the environments beside the physics alone and their peers, and training beside `imitation`'s."""
