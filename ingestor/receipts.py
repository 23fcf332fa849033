"""What a sender is told about its message."""

import json
from typing import Any

from ingestor.batch import Asked, Batch
from ingestor.writer import Written


def receipt(batch: Batch, written: Written, rows: slice, flaws: slice) -> dict[str, Any]:
    """Return what became of these rows and of what was kept aside; an index is that of a reading in the message."""
    stored = written.stored[rows]
    return {
        "stored": int(stored.sum()),
        "duplicate": int((~stored).sum()),
        "quarantined": [
            {"index": flaw.position, "reason": str(flaw.reason), "detail": flaw.detail}
            for flaw in batch.quarantined[flaws]
        ],
    }


def receipt_message(batch: Batch, written: Written, asked: Asked) -> tuple[str, bytes]:
    """Return topic and payload of the receipt that a message asked for."""
    body = {"id": asked.receipt_id, **receipt(batch, written, asked.rows, asked.flaws)}
    # Not orjson: an id goes back whatever it is, and that refuses integers of more than 64 bits and lone surrogates.
    return asked.topic, json.dumps(body).encode()
