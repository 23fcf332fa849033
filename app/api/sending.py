"""The HTTP doors for readings: JSON, SenML, and that of the kits of the first generation."""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from flask import Response, request
from flask_smorest import Blueprint
from psycopg.types.json import Jsonb

from app.api.bodies import unpacked
from app.api.devices import existing
from app.api.respond import answer
from app.auth import signed_in
from app.bell import ring
from app.database import connection
from app.errors import invalid, refuse
from app.policy import require_owner
from app.schemas.readings import NewReadings, ReadingsReceipt, RefusedReadings
from ingestor.batch import Batch
from ingestor.intake import read_json, read_parts
from ingestor.known import Known
from ingestor.legacy import parse_legacy
from ingestor.metrics import count_datapoints
from ingestor.receipts import receipt
from ingestor.senml import parse_senml
from ingestor.writer import Writer, Written
from sql import DictConnection, queries

blueprint = Blueprint("sending", __name__, description="Sending readings")

MOST_DATAPOINTS = 50_000
_SENML = "application/senml+json"
_LONGEST_KEY = 255
_ALL = slice(None)
_KEY_PARAMETER = {
    "in": "header",
    "name": "Idempotency-Key",
    "schema": {"type": "string", "maxLength": _LONGEST_KEY},
    "description": "makes the same request again, within a day, get the same answer",
    "example": "5f2b9d3c-1",
}
_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": NewReadings},
        _SENML: {
            "schema": {"type": "array", "items": {"type": "object"}},
            "example": [{"bn": "balcony:", "bt": 1768465800, "n": "55", "u": "Cel", "v": 21.4}],
        },
    },
}


@blueprint.post("/devices/<int:device_id>/readings")
@blueprint.doc(requestBody=_BODY, parameters=[_KEY_PARAMETER])
@blueprint.response(200, ReadingsReceipt)
@blueprint.alt_response(400, description="the body cannot be read, or has no data")
@blueprint.alt_response(403, description="the device is not yours")
@blueprint.alt_response(404, description="there is no such device")
@blueprint.alt_response(413, description=f"more than 10 MB, unpacked too, or than {MOST_DATAPOINTS:,} datapoints")
@blueprint.alt_response(
    422,
    schema=RefusedReadings,
    description="nothing in it could be stored, or the Idempotency-Key was another request's",
)
@signed_in
def send(device_id: int) -> Response:
    """Send readings of a device, as JSON or SenML, gzip or not; the answer says what became of each.

    What the answer says is stored is committed. What it says is quarantined is kept for 90 days, to be released once
    its cause is gone; `index` is the place of the reading in `data`, or of the record in the pack.
    Units of SenML are passed over: values are in those of the sensors.
    """
    with connection() as conn:
        require_owner(existing(conn, device_id))
    key = request.headers.get("Idempotency-Key", "").strip().replace("\0", "")
    if len(key) > _LONGEST_KEY:
        refuse(400, f"Idempotency-Key has {len(key)} characters; at most {_LONGEST_KEY} are allowed")
    payload = unpacked(request.get_data())
    with connection() as conn:
        status, body = _once(conn, device_id, key, payload) if key else _store(conn, device_id, payload)
    ring()
    return answer(body, status)


def _once(conn: DictConnection, device_id: int, key: str, payload: bytes) -> tuple[int, Any]:
    request_hash = sha256(payload).digest()
    with conn.transaction():
        if queries.claim_idempotency_key(conn, device_id=device_id, key=key, request_hash=request_hash):
            status, body = _store(conn, device_id, payload)
            queries.keep_idempotent_answer(conn, device_id=device_id, key=key, status=status, answer=Jsonb(body))
            return status, body
        earlier = queries.idempotent_answer(conn, device_id=device_id, key=key)
    if bytes(earlier["request_hash"]) != request_hash:
        refuse(422, f"Idempotency-Key {key[:40]!r} belongs to another request: use a new key for new readings")
    return earlier["status"], earlier["answer"]


def _store(conn: DictConnection, device_id: int, payload: bytes) -> tuple[int, dict[str, Any]]:
    known, now = Known(), datetime.now(UTC)
    if request.mimetype == _SENML:
        try:
            parts = parse_senml(payload, now)
        except ValueError as error:
            refuse(400, str(error))
        if not parts:
            invalid(400, data="the pack is empty")
        _refuse_too_many(sum(len(part.datapoints) + len(part.flaws) for part in parts))
        batch = read_parts(conn, device_id, "http/senml", parts, known, now)
    else:
        batch = read_json(conn, device_id, "http/readings", payload, known, now)
        _refuse_too_many(len(batch.raws) + len(batch.quarantined))
        if not batch.raws and (flaw := next(iter(batch.quarantined), None)) and flaw.payload == payload:
            refuse(400, flaw.detail, slug="parameter_missing" if b'"data"' not in payload else "bad_request")
    if not batch.raws and not batch.quarantined:
        refuse(400, "there is no value in it: send data with at least one reading", slug="parameter_missing")
    written = Writer(known, by_copy=False).write(conn, batch)
    count_datapoints(written.ledger)
    return _told(batch, written)


def _told(batch: Batch, written: Written) -> tuple[int, dict[str, Any]]:
    counts = receipt(batch, written, _ALL, _ALL)
    received = written.ledger.received
    usable = counts["stored"] + counts["duplicate"]
    message = f"{counts['stored']} stored, {counts['duplicate']} known already, {received - usable} quarantined"
    if not usable:
        reason = counts["quarantined"][0]["detail"]
        body = {"id": "unprocessable_entity", "message": f"nothing could be stored: {reason}", "url": ""}
        return 422, {**body, "errors": {"data": [item["detail"] for item in counts["quarantined"][:100]]}, **counts}
    return 200, {"id": "ok", "message": message, "url": "", "errors": "", "received": received, **counts}


def _refuse_too_many(datapoints: int) -> None:
    if datapoints > MOST_DATAPOINTS:
        refuse(
            413,
            f"{datapoints:,} datapoints in one request, at most {MOST_DATAPOINTS:,} are taken: "
            "send them in several requests, or upload a file",
        )


@blueprint.route("/add", methods=["GET", "POST", "PATCH", "PUT"])
@blueprint.doc(
    parameters=[
        {
            "in": "header",
            "name": "X-SmartCitizenMacADDR",
            "schema": {"type": "string"},
            "description": "the MAC address under which the kit is registered",
            "example": "00:06:66:2a:02:8f",
        },
        {
            "in": "header",
            "name": "X-SmartCitizenData",
            "schema": {"type": "string"},
            "description": "a JSON list of readings by sensor key",
            "example": '[{"temp":"25768","hum":"29116","timestamp":"2014-03-05 7:08:09"}]',
        },
    ]
)
@blueprint.response(200, {"type": "string"}, content_type="text/plain", example="UTC:2026,3,7,09,05,04#")
def add() -> Response:
    """Take the readings of a Smart Citizen Kit 1.x, which knows its MAC address alone, and tell it the time.

    The kit can do nothing about an error, so there is none: what cannot be stored goes to the device's quarantine.
    """
    mac = request.headers.get("X-SmartCitizenMacADDR", "").strip().replace("-", ":").lower()
    data = request.headers.get("X-SmartCitizenData", "")
    if not data:
        return _clock()
    with connection() as conn:
        device_id = queries.device_id_of_mac_address(conn, mac_address=mac.replace("\0", ""))
        if device_id is not None:
            known = Known()
            batch = read_parts(conn, device_id, "http/add", parse_legacy(data), known, datetime.now(UTC))
            count_datapoints(Writer(known, by_copy=False).write(conn, batch).ledger)
            ring()
    return _clock()


@blueprint.route("/datetime", methods=["GET", "POST", "PATCH", "PUT"])
@blueprint.response(200, {"type": "string"}, content_type="text/plain", example="UTC:2026,3,7,09,05,04#")
def clock() -> Response:
    """Tell the time in UTC, as Smart Citizen Kits 1.x read it."""
    return _clock()


def _clock() -> Response:
    now = datetime.now(UTC)
    return Response(f"UTC:{now.year},{now.month},{now.day},{now:%H,%M,%S}#", mimetype="text/plain")
