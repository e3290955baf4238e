"""`python -m lib_usdu photo.png`."""

import sys

from .cli import main

sys.exit(main())
