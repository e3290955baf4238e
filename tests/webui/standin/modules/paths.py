"""Where things are (paths.py)."""

from .shared import data_path, models_path, script_path  # noqa: F401
