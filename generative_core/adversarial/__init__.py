"""Implicit models: two-player games and the critics that judge samples."""
