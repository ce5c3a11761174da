"""Operations on latents: paths, inversion, edits, breeding."""
