"""What the files of an export are called. Pure."""

import re
from collections.abc import Sequence

from sql import Row

METADATA = "metadata.json"
_ENDINGS = {"csv": "csv.gz", "parquet": "parquet"}


def filename_of(export: Row, devices: Sequence[Row]) -> str:
    """`almanac-7-balcony.csv.gz`."""
    name = devices[0]["name"] if len(devices) == 1 else f"{len(devices)} devices"
    slug = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")[:60]
    return f"almanac-{export['id']}{f'-{slug}' if slug else ''}.{_ENDINGS[export['question']['format']]}"


def path_of(export: Row, filename: str) -> str:
    """Where the file lies in the store; what two workers make for one export does not mix."""
    return f"exports/{export['id']}/{export['attempt']}/{filename}"
