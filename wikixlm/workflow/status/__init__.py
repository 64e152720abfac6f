"""Show how far a run is: a table of languages by stages, the joint stages, and the last lines of what failed.

    wikixlm status                              the run in this directory
    wikixlm status --directory runs/mine --watch
    wikixlm status --jobs                       what the jobs used, beside what they asked for

Reads only the run's own files (work/run.json, work/events.jsonl, Snakemake's locks, what the stages left on disk), so
it works beside a run, on a cluster's login node, and after the end. It changes nothing.
"""

from wikixlm.workflow.status.show import add_arguments, main

__all__ = ["add_arguments", "main"]
