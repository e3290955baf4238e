"""Pictures as files and as arrays: reading, writing, metadata, canvases too large for memory, comparisons."""
