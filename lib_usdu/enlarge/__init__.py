"""The first stage: the picture enlarged to its final size by an upscaler network or a plain resampler.

Networks are loaded with spandrel and run in overlapping windows. Resize modes and seamless textures are here too.
"""
