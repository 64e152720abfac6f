"""A run to plan in."""

from tests.workflow.conftest import workflow

__all__ = ["workflow"]
