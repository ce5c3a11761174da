"""Shape-in, shape-out blocks: no loss, no probability."""
