"""The one exception that stages raise for what a user can mend."""


class UserError(Exception):
    """Something the user can act on; shown as a single line that begins with `error: `, without a traceback.

    The message names the file, key or option at fault, what was found there and what would be accepted.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
