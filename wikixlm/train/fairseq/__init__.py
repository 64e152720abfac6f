"""The `wikixlm` recipe of training, as an extension of stock fairseq 0.12.2.

Importing this package loads neither fairseq nor torch. fairseq finds the task, model, criterion, optimizer and schedule
through `--user-dir`, which is `USER_DIR`: a folder with nothing else in it, since fairseq puts its parent on sys.path.
"""

from pathlib import Path

USER_DIR = Path(__file__).parent / "user_dir" / "wikixlm_fairseq"
