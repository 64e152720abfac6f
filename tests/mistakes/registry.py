"""What makes each mistake, by its name on the page."""

from collections.abc import Callable

import pytest

from tests.mistakes.conftest import User
from wikixlm.errors import UserError

Mistake = Callable[[User, pytest.MonkeyPatch], str]
MISTAKES: dict[str, Mistake] = {}
SLOW: set[str] = set()


def mistake(name: str, slow: bool = False) -> Callable[[Mistake], Mistake]:
    """Register what makes the mistake of this name and gives the output."""

    def register(make: Mistake) -> Mistake:
        assert name not in MISTAKES
        MISTAKES[name] = make
        if slow:
            SLOW.add(name)
        return make

    return register


def said(action: Callable[[], object]) -> str:
    """The `error: ` line of a failure in this process, as the command line would print it."""
    with pytest.raises(UserError) as caught:
        action()
    return f"error: {caught.value}"


def configuration(name: str, **overlay: object) -> None:
    """A mistake that is only a configuration."""
    mistake(name)(lambda user, monkeypatch: user.configures(**overlay))
