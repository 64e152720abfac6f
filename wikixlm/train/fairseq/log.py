"""A log handler in the trainer's own process, which writes its figures to `metrics.jsonl`.

An update's row is therefore written before any checkpoint that contains the update. `wikixlm train`, which reads the
log through a pipe, may lag some updates behind, and a SIGKILL would lose their rows.
"""

import json
import logging
import os
from pathlib import Path

from wikixlm.train.metrics import LogParser, LogScale, MetricsFile

# In the trainer's environment: the file, and the scale of its figures.
RECORD = "WIKIXLM_METRICS"


def environment(path: Path, scale: LogScale) -> dict[str, str]:
    """The environment variable that has a trainer write rows to `path`, and on which scale."""
    return {RECORD: json.dumps([str(path), *scale])}


def add_metrics_handler() -> None:
    """Write rows from now on, where `environment` asked for it. Of several workers only the first logs figures."""
    if RECORD not in os.environ:
        return
    path, *scale = json.loads(os.environ[RECORD])
    logging.getLogger().addHandler(_Handler(LogParser(LogScale(*scale), [MetricsFile(Path(path))])))


class _Handler(logging.Handler):
    """Passes each record on as its line in the log."""

    def __init__(self, log: LogParser) -> None:
        super().__init__(logging.INFO)
        self.log = log

    def emit(self, record: logging.LogRecord) -> None:
        self.log.feed(f" | {record.name} | {record.getMessage()}")
