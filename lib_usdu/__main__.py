"""`python -m lib_usdu photo.png`."""

import sys

from .cli.main import main

sys.exit(main())
