"""Demonstrations of an expert: loaded, rolled out, checked and saved."""

from gail_suite.demonstrations.dataset import DEFAULT_EPISODES, Demonstrations, Provenance, ReturnSummary

__all__ = ["DEFAULT_EPISODES", "Demonstrations", "Provenance", "ReturnSummary"]
