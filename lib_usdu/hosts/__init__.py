"""The places that can refine tiles: a webui, diffusers, or nothing at all."""
