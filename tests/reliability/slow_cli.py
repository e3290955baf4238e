"""The command line with a model that is slow arithmetic, so that there is time to be killed in. Needs no torch."""

import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from faulty import FaultyRefiner  # noqa: E402

from lib_usdu.cli import main as cli  # noqa: E402
from lib_usdu.cli import models  # noqa: E402
from lib_usdu.standalone.host import LocalHost  # noqa: E402


class SlowRefiner(FaultyRefiner):
    def refine(self, batch, stop):
        time.sleep(0.05 * len(batch.tiles))
        return super().refine(batch, stop)


if __name__ == "__main__":
    models.host_of = lambda args, options: LocalHost(SlowRefiner(), journal_folder=args.journal)
    sys.exit(cli.main())
