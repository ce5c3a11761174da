"""Boltzmann machines, explicit and approximate, and the GSN, implicit: models whose samples are ends of Markov chains."""
