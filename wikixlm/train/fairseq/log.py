"""The trainer itself writes its figures into `metrics.jsonl`, as it logs them.

So the row of an update is in the file before a checkpoint with that update is. `wikixlm train`, which reads the log
through a pipe, may be behind by some updates, and a SIGKILL would take their rows along.
"""

import json
import logging
import os
from pathlib import Path

from wikixlm.train.metrics import LogParser, LogScale, MetricsFile

# In the trainer's environment: the file, and the scale of its figures.
RECORD = "WIKIXLM_METRICS"


def environment(path: Path, scale: LogScale) -> dict[str, str]:
    """What tells a trainer to write rows to `path`, and on which scale."""
    return {RECORD: json.dumps([str(path), *scale])}


def install() -> None:
    """Write rows from now on, where `environment` asked for it. Of several workers only the first logs figures."""
    if RECORD not in os.environ:
        return
    path, *scale = json.loads(os.environ[RECORD])
    logging.getLogger().addHandler(_Handler(LogParser(LogScale(*scale), [MetricsFile(Path(path))])))


class _Handler(logging.Handler):
    """Passes records on as the lines of the log that they become."""

    def __init__(self, log: LogParser) -> None:
        super().__init__(logging.INFO)
        self.log = log

    def emit(self, record: logging.LogRecord) -> None:
        self.log.feed(f" | {record.name} | {record.getMessage()}")
