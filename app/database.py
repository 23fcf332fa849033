"""The running app's pool of database connections."""

from contextlib import AbstractContextManager

from flask import current_app

from sql import DictConnection, Pool


def pool() -> Pool:
    opened: Pool = current_app.extensions["database_pool"]
    return opened


def connection() -> AbstractContextManager[DictConnection]:
    """Borrow a connection for a `with` block; give it back before anything slow."""
    return pool().connection()
