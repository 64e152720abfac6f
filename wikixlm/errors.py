"""The exception that stages raise for what a user can fix."""


class UserError(Exception):
    """Something the user can act on; shown as a single line that begins with `error: `, without a traceback.

    The message names the file, key or option at fault, what was found there and what would be accepted.
    """

    # The exit status of the command.
    status = 1

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
