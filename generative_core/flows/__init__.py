"""Explicit density, tractable: an invertible map between the event and independent noise."""
