"""Where finished files lie: a local folder, or S3 and its like, by STORAGE_URL."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import obstore
from obstore.store import LocalStore, ObjectStore, S3Store, from_url

_SIGNED_FOR = timedelta(minutes=5)  # whoever follows our link is sent there at once; a longer download goes on


class Storage:
    """The files of the platform, by paths such as `exports/7/balcony.csv.gz`."""

    def __init__(self, url: str) -> None:
        """Open `file:///srv/almanac`, made where it is missing, or `s3://bucket/folder`, set up by AWS_… variables."""
        local = {"mkdir": True} if url.startswith("file:") else {}
        self._store: ObjectStore = from_url(url, **local)  # type: ignore[call-overload]

    def put(self, path: str, file: BinaryIO) -> None:
        """Store what an open file holds, from its start; readers see all of it or nothing."""
        file.seek(0)
        self._store.put(path, file)

    def read(self, path: str) -> bytes:
        """Raises FileNotFoundError."""
        return bytes(self._store.get(path).bytes())

    def delete(self, path: str) -> None:
        """Delete a file; that it is gone already is fine."""
        with suppress(FileNotFoundError):
            self._store.delete(path)

    def list(self, folder: str) -> Iterator[str]:
        """Yield the paths in a folder and the folders in it."""
        for page in self._store.list(folder):
            yield from (item["path"] for item in page)

    def local_path(self, path: str) -> Path | None:
        """Where a file lies on this machine; None where the store is elsewhere."""
        if isinstance(self._store, LocalStore) and self._store.prefix is not None:
            return Path(self._store.prefix) / path
        return None

    def signed_url(self, path: str) -> str:
        """An address at which the store elsewhere gives the file out to anybody, for some minutes."""
        if not isinstance(self._store, S3Store):
            raise TypeError("only S3 signs addresses")
        return obstore.sign(self._store, "GET", path, _SIGNED_FOR)
