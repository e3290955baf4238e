"""`python -m lib_usdu photo.png`, and the command `usdu`."""

import sys


def run() -> None:
    """Ends the process with the command line's exit code. Ctrl-C has no traceback from the first moment on."""
    try:
        from lib_usdu.cli.main import main

        code = main()
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    run()
