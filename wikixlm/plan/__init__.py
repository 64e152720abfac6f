"""What a run will need, before anything is downloaded: sizes, disk, hours, jobs.

    wikixlm plan                                            config.yaml
    wikixlm plan --configfile config/my.yaml --device H100  an overlay, as for snakemake, and a GPU
    wikixlm plan --compare runs/demo --configfile config/demo.yaml     beside what a finished run took
    wikixlm plan --calibrate runs/mine --output mine.json   take the speeds of this machine from a run
    wikixlm plan --calibration mine.json                    and reckon with them

Sizes come from the dumps' server, from files on disk, or from --sizes. Speeds are measured; each is given with the
command that measured it. A GPU's is an estimate from its data sheet until you give --tokens-per-second.
"""

from wikixlm.plan.show import add_arguments, main

__all__ = ["add_arguments", "main"]
