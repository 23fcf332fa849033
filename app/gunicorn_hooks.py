"""What gunicorn's master does for Prometheus; `almanac serve` names this module where METRICS_PORT is set."""

import os
import shutil
import sys
from typing import Any

from environs import EnvError
from prometheus_client.multiprocess import mark_process_dead

from app import metrics


def when_ready(server: Any) -> None:
    """Answer on the port of the numbers."""
    if where := metrics.address():
        try:
            metrics.serve_processes(*where)
        except EnvError as error:
            on_exit(server)  # gunicorn does not call it on this way out
            sys.exit(f"Error: {error}")


def child_exit(_server: Any, worker: Any) -> None:
    """Forget the gauges of a process that has ended; its counters stay."""
    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(_server: Any) -> None:
    """Leave nothing behind."""
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)
