"""A trained policy as a file for elsewhere: the normaliser inside, checked against the original, with a model card."""
