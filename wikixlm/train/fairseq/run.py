"""fairseq's own commands with `compat` applied: `python -m wikixlm.train.fairseq.run fairseq-train ARGUMENTS…`.

`torchrun` runs several of them: `… run torchrun --nproc-per-node 2 -m wikixlm.train.fairseq.run fairseq-train …`;
on several nodes SLURM runs that once on each.
"""

import atexit
import contextlib
import functools
import importlib
import logging
import os
import re
import sys
import traceback
from typing import NoReturn

from wikixlm import console, processes
from wikixlm.errors import UserError
from wikixlm.train.fairseq import compat, interruption, patches

COMMANDS = {
    "fairseq-preprocess": "wikixlm.train.fairseq.preprocess",
    "fairseq-train": "fairseq_cli.train",
    "fairseq-validate": "fairseq_cli.validate",
}
# The descriptor of the save directory's lock, which a trainer holds with its parent.
LOCK_HANDLE = "WIKIXLM_LOCK_HANDLE"
# SLURM's number of the node, counted from 0 within the step that started this process; also set without several nodes.
NODE_OF_STEP = "SLURM_NODEID"
# Time for workers, after a SIGTERM, to finish the update and save the checkpoint.
SECONDS_TO_SAVE = 600


def main() -> None:
    """Run the command named by the first argument with the others, in this process."""
    if len(sys.argv) < 2 or sys.argv[1] not in (*COMMANDS, "torchrun"):
        sys.exit(f"usage: python -m wikixlm.train.fairseq.run {{{','.join([*COMMANDS, 'torchrun'])}}} ARGUMENTS…")
    command = sys.argv.pop(1)
    sys.argv[0] = command
    processes.die_with_parent()
    if command == "torchrun":
        torchrun()
        return
    if command == "fairseq-train":
        keep_the_lock_from_workers()
        interruption.listen()
    log_to_standard_output()
    compat.apply()
    if command == "fairseq-train":
        patches.apply(patches.TRAINER)
    status = 0
    try:
        importlib.import_module(COMMANDS[command]).cli_main()
    except UserError as failure:
        status = report(failure)
    except Exception:
        traceback.print_exc()
        status = 1
    if command == "fairseq-train":
        leave(status)
    sys.exit(status)


def leave(status: int) -> NoReturn:
    """End this process, all of whose output is written, without Python's own shutdown.

    Python stops remaining threads (fairseq's still loads batches after a training that ends in mid-epoch) wherever they
    are, which inside torch or its process group sometimes aborts: a finished training ends with SIGABRT, or a failed
    one hides its reason. Functions registered with atexit still run.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def keep_the_lock_from_workers() -> None:
    """Have data-loader workers release the lock: after a SIGKILL they outlive their trainer by some seconds."""
    handle = os.environ.get(LOCK_HANDLE)
    if handle is not None:
        os.register_at_fork(after_in_child=functools.partial(_close, int(handle)))


def _close(handle: int) -> None:
    with contextlib.suppress(OSError):
        os.close(handle)


def torchrun() -> None:
    """Start the workers of this node and wait for them; torchrun itself forwards SIGTERM to them."""
    interruption.pass_on_to_workers()
    os.environ.pop(LOCK_HANDLE, None)  # workers don't inherit the descriptor
    if NODE_OF_STEP in os.environ:
        os.environ["PET_NODE_RANK"] = os.environ[NODE_OF_STEP]  # torchrun's --node-rank
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(SECONDS_TO_SAVE))
    importlib.import_module("torch.distributed.run").main()


def report(failure: UserError) -> int:
    """Log one line that `wikixlm train` shows to the user; returns the exit status.

    A data-loader worker's error arrives with its traceback in the message, its own message last.
    """
    print(console.ERROR + re.split(r"\bUserError: ", str(failure))[-1], flush=True)
    return 1


def log_to_standard_output() -> None:
    """Log as fairseq's commands do; they ask for it at import, too late once anything else has logged."""
    logging.basicConfig(
        format="%(asctime)s | %(levelname)s | %(name)s | %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",
        level=os.environ.get("LOGLEVEL", "INFO").upper(),
        stream=sys.stdout,
    )


if __name__ == "__main__":
    main()
elif __name__ == "__mp_main__":
    # A worker process that was spawned, not forked: it imports this module instead of inheriting the parent's state.
    compat.apply()
