"""What the webui's process keeps between runs."""

from ..session import Session

SESSION = Session()
"""One for the process: the webui makes a script and a `p` anew for each request."""
