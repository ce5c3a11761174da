"""The only place with optimisers: steps, the loop, its hooks and checkpoints."""
