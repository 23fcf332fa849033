"""Several ingestors on one machine: processes under one parent, which starts again what dies."""

import logging
import os
import time
from dataclasses import replace
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from threading import Thread

from ingestor.daemon import run
from ingestor.log import configure_logging
from ingestor.settings import Settings
from ingestor.stopping import Stopping

log = logging.getLogger(__name__)

_RESTART_S = 1.0
_spawn = get_context("spawn")


def run_workers(alone: Settings, number: int) -> None:
    """Run so many processes until SIGTERM or SIGINT, which they get too.

    An ingestor that worked here alone before, under the name without a number, is retired meanwhile.
    """
    configure_logging(alone.log_level)
    stopping = Stopping().on_signals()
    settings = [alone.as_worker(each) for each in range(1, number + 1)]
    children = {own.client_id: _start(own) for own in settings}
    retiring = _start(replace(alone, metrics_port=0), retire=True)
    while not stopping.wait(0.1):
        for own in settings:
            child = children[own.client_id]
            if not child.is_alive():
                log.error("worker died", extra={"client_id": own.client_id, "exit_code": child.exitcode})
                if not stopping.wait(_RESTART_S):
                    children[own.client_id] = _start(own)
    for child in (retiring, *children.values()):
        child.terminate()
    for child in (retiring, *children.values()):
        child.join()


def _start(settings: Settings, *, retire: bool = False) -> SpawnProcess:
    child = _spawn.Process(target=_work, args=[settings, retire], name=settings.client_id)
    child.start()
    return child


def _work(settings: Settings, retire: bool) -> None:
    stopping = Stopping()
    Thread(target=_follow_parent, args=[stopping], daemon=True).start()
    run(settings, stopping, retire=retire)


def _follow_parent(stopping: Stopping) -> None:
    """End with the parent: the one that is started in its place brings workers with the same client ids."""
    if parent := parent_process():
        wait([parent.sentinel])
        stopping.set()
        time.sleep(10)
        os._exit(1)
