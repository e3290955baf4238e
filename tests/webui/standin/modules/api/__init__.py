"""The webui's API, from JSON text to JSON text."""
