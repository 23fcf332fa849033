"""The ingestor daemon, `python -m ingestor`: from the broker to the hypertable until SIGTERM."""

import argparse
import sys

from environs import EnvError

from ingestor.daemon import run
from ingestor.settings import Settings
from ingestor.workers import run_workers


def main() -> None:
    """Read the command line and the environment, and run."""
    parser = argparse.ArgumentParser(prog="python -m ingestor", description=__doc__)
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="processes that share the work, each with a client id of its own: MQTT_CLIENT_ID-1 to -N",
    )
    parser.add_argument(
        "--retire",
        metavar="CLIENT_ID",
        help="write what the broker still keeps for an ingestor that will not come back, end its session, and leave",
    )
    arguments = parser.parse_args()
    if arguments.workers < 1:
        parser.error("--workers: at least 1")
    try:
        settings = Settings.from_env()
        if arguments.retire:
            run(settings.as_client(arguments.retire), retire=True)
        elif arguments.workers > 1:
            run_workers(settings, arguments.workers)
        else:
            run(settings)
    except (EnvError, ValueError) as error:
        sys.exit(f"almanac: {error}")


if __name__ == "__main__":
    main()
