"""The host without a webui: upscalers from files, tiles through a diffusers pipeline, Ray workers."""
