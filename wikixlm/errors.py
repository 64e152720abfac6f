"""The exception that stages raise for what a user can fix, and what can be done about the system's own errors."""

import errno


class UserError(Exception):
    """Something the user can act on; shown as a single line that begins with `error: `, without a traceback.

    The message names the file, key or option at fault, what was found there and what would be accepted.
    """

    # The exit status of the command.
    status = 1

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


_REMEDIES = {
    errno.ENOSPC: "make room, then run the same command again: it resumes",
    errno.EDQUOT: "make room, then run the same command again: it resumes",
    errno.EFBIG: "files may not be that large here (ulimit -f)",
    errno.EMFILE: "too few files may be open (ulimit -n)",
    errno.ENFILE: "the machine has too many open files",
    errno.ENOMEM: "the job has too little memory (mem_mb in the profile, ulimit -v)",
    errno.EAGAIN: "too few processes or too little memory are allowed (ulimit -u, ulimit -v)",
    errno.EROFS: "it is on a file system that can only be read; give another --directory",
    errno.EIO: "the disk or the network behind it fails",
    errno.ESTALE: "its file server was restarted; run the same command again",
}


def describe(failure: OSError) -> str:
    """What the system refused, on which file where that is known, and what to do about it where that is."""
    parts = [str(failure.filename) if failure.filename else "", failure.strerror or str(failure)]
    remedy = _REMEDIES.get(failure.errno or 0)
    return ": ".join(filter(None, parts)) + (f"; {remedy}" if remedy else "")
