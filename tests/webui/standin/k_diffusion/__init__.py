"""A stand-in for the sampler library under a webui: `sampling` has a few of its functions, by their published names."""
