"""Why something could not be had from the hub, in words."""

from __future__ import annotations

import logging

_UNREACHED = {
    "LocalEntryNotFoundError", "OfflineModeIsEnabled", "ConnectError", "ConnectTimeout", "ConnectionError",
    "ReadTimeout", "Timeout", "NewConnectionError", "MaxRetryError",
}  # fmt: skip


def quiet() -> None:
    """What huggingface_hub warns of, each of its tries among it, is not for the person at the command line."""
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)


def why(error: BaseException) -> str:
    """What went wrong with the hub, in one sentence's part; "" where the error is of something else."""
    names = set()
    seen: BaseException | None = error
    while seen is not None and len(names) < 50:
        names |= {kind.__name__ for kind in type(seen).__mro__}
        seen = seen.__cause__ or seen.__context__
    if "GatedRepoError" in names:
        return "its licence has to be accepted on huggingface.co first, and HF_TOKEN set"
    if "RepositoryNotFoundError" in names:
        return "the hub has no such model, or it is private"
    if names & _UNREACHED:
        return "the hub cannot be reached, and no earlier download of it is there"
    return ""
