"""The running app's pools of database connections."""

from contextlib import AbstractContextManager

from flask import current_app

from sql import DictConnection, Pool
from sql.replicas import Replicas, Source


def pool() -> Pool:
    opened: Pool = current_app.extensions["database_pool"]
    return opened


def connection() -> AbstractContextManager[DictConnection]:
    """Borrow a connection for a `with` block; give it back before anything slow."""
    return pool().connection()


def source() -> Source:
    """Say where to read history, maps and the like: a replica that holds what is confirmed by now, or the primary."""
    replicas: Replicas = current_app.extensions["replicas"]
    return replicas.source()
