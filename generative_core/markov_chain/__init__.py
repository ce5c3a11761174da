"""Models whose samples are ends of Markov chains: Boltzmann machines (explicit, approximate) and the GSN (implicit)."""
