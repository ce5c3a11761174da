"""Every family of the core on the same images: what it reaches, beside what its paper reached."""
