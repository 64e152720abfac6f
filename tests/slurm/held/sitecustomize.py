"""Python imports this before anything else, where PYTHONPATH has this folder.

A stage that finds the file `hold` in its directory takes it away and stops itself, as if it hung, until somebody sends
it SIGCONT: some stages are over sooner than a test could find them.
"""

import os
import signal
import sys
from pathlib import Path

if sys.orig_argv[1:4] == ["-m", "wikixlm", "corpus"] and Path("hold").exists():
    Path("hold").unlink()
    os.kill(os.getpid(), signal.SIGSTOP)
