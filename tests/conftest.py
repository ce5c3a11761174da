"""Every shape and dtype in the core's annotations is checked at each call that a test makes."""

from jaxtyping import install_import_hook

install_import_hook("generative_core", "beartype.beartype")
