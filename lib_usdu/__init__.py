"""Ultimate SD Upscale: large, sharp pictures from small ones, tile by tile, through a diffusion model."""

__version__ = "0.1.0"
