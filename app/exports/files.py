"""What files are called, and where they lie in the store. Pure."""

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


def edition_filename(archive: Row, period: str, version: int) -> str:
    """`almanac-archive-3-2026-01-v2.csv.gz`."""
    return f"almanac-archive-{archive['id']}-{period}-v{version}.{_ENDINGS[archive['question']['format']]}"


def metadata_name(filename: str) -> str:
    """`….csv.gz.json`: what goes with an edition."""
    return f"{filename}.json"


def edition_path(archive_id: int, filename: str) -> str:
    return f"archives/{archive_id}/{filename}"
