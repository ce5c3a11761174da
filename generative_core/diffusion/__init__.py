"""From noise to data along a path of many small steps: diffusion by its bound or by denoising, and flow matching."""
