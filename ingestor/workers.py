"""Several ingestors on one machine: processes under one parent, which starts again what dies."""

import logging
import os
import signal
import time
from collections.abc import Sequence
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from threading import Event, Thread

from ingestor.daemon import run
from ingestor.log import configure_logging
from ingestor.settings import Settings

log = logging.getLogger(__name__)

_RESTART_S = 1.0
_spawn = get_context("spawn")


def run_workers(settings: Sequence[Settings]) -> None:
    """Run one process for each of these settings until SIGTERM or SIGINT, which they get too."""
    configure_logging()
    stopping = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    children = {own.client_id: _start(own) for own in settings}
    while not stopping.wait(0.1):
        for own in settings:
            child = children[own.client_id]
            if not child.is_alive():
                log.error("worker died", extra={"client_id": own.client_id, "exit_code": child.exitcode})
                if not stopping.wait(_RESTART_S):
                    children[own.client_id] = _start(own)
    for child in children.values():
        child.terminate()
    for child in children.values():
        child.join()


def _start(settings: Settings) -> SpawnProcess:
    child = _spawn.Process(target=_work, args=[settings], name=settings.client_id)
    child.start()
    return child


def _work(settings: Settings) -> None:
    stopping = Event()
    Thread(target=_follow_parent, args=[stopping], daemon=True).start()
    run(settings, stopping)


def _follow_parent(stopping: Event) -> None:
    """End with the parent: the one that is started in its place brings workers with the same client ids."""
    if parent := parent_process():
        wait([parent.sentinel])
        stopping.set()
        time.sleep(10)
        os._exit(1)
