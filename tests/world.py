"""A device and all that an operation may ask for besides: made anew for a call that tries who may do it."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from flask import Flask
from psycopg.types.json import Jsonb

from app.catalogue import insert_sensor
from app.jobs.periodic import PERIODS
from app.passwords import hash_password
from app.scopes import SCOPES
from app.sessions import begin_session
from ingestor.tokens import hash_token
from sql import DictConnection, queries

PASSWORD = "correct horse battery"
_PASSWORD_HASH = hash_password(PASSWORD)


class World:
    """A device and its owner, made for one call or for several that change nothing."""

    def __init__(self, app: Flask, conn: DictConnection, device: str) -> None:
        self.app, self.conn = app, conn
        self.owner_id = self.new_user()
        self.device_id = self.new_device(device)

    def new_user(self, role: str = "citizen") -> int:
        name = f"w-{secrets.token_hex(6)}"
        user_id: int = queries.insert_user(
            self.conn,
            username=name,
            email=f"{name}@example.org",
            password_hash=_PASSWORD_HASH,
            role=role,
            city=None,
            country_code=None,
            url=None,
        )
        return user_id

    def new_device(self, kind: str) -> int:
        row = self.conn.execute(
            """
            INSERT INTO devices (owner_id, name, is_private, archived_at)
            VALUES (%s, 'Balcony', %s, CASE WHEN %s THEN now() END) RETURNING id
            """,
            [self.owner_id, kind == "private", kind == "archived"],
        ).fetchone()
        assert row is not None
        return int(row["id"])

    def session(self, user_id: int) -> dict[str, Any]:
        with self.app.test_request_context():
            return begin_session(self.conn, user_id, list(SCOPES))

    def private_token(self, scopes: list[str], state: str = "") -> str:
        token = f"almanac_{secrets.token_urlsafe(16)}"
        made = queries.insert_private_token(
            self.conn, user_id=self.owner_id, name="t", scopes=scopes, hash=hash_token(token), expires_at=None
        )
        if state:
            column = {"revoked": "revoked_at", "expired": "expires_at"}[state]
            self.conn.execute(f"UPDATE private_tokens SET {column} = now() WHERE id = %s".encode(), [made["id"]])
        return token

    def bearer(self, caller: str, scope: str | None) -> str | None:
        """What a caller sends as their token."""
        if caller == "nobody":
            return None
        if caller == "owner":
            return str(self.session(self.owner_id)["access_token"])
        if caller in ("other", "researcher", "admin"):
            role = "citizen" if caller == "other" else caller
            return str(self.session(self.new_user(role))["access_token"])
        if caller == "scope":
            return self.private_token([name for name in SCOPES if name != scope])
        return self.private_token(list(SCOPES), caller)


def _device_token_id(world: World) -> object:
    return queries.insert_device_token(
        world.conn, device_id=world.device_id, hash=secrets.token_bytes(32), sealed=None, expires_at=None
    )["id"]


def _token_id(world: World) -> int:
    world.private_token(["account"])
    return int(queries.private_tokens_of_user(world.conn, user_id=world.owner_id, limit=1, offset=0)[0]["id"])


def _reset(world: World) -> str:
    token = secrets.token_urlsafe(16)
    queries.insert_password_reset(world.conn, hash=hash_token(token), user_id=world.owner_id)
    return token


def _offer(world: World) -> str:
    token = secrets.token_urlsafe(16)
    queries.upsert_transfer(world.conn, device_id=world.new_device("public"), hash=hash_token(token), days=1)
    return token


def _username(world: World) -> str:
    return str(queries.user_by_id(world.conn, id=world.owner_id)["username"])


def _component_id(world: World) -> int:
    queries.insert_missing_components(world.conn, device_ids=[world.device_id], sensor_ids=[55])
    row = world.conn.execute("SELECT id FROM components WHERE device_id = %s", [world.device_id]).fetchone()
    assert row is not None
    return int(row["id"])


def _experiment_id(world: World) -> int:
    about = {"description": None, "is_test": False, "starts_at": None, "ends_at": None}
    return int(queries.insert_experiment(world.conn, owner_id=world.owner_id, name="Traffic", **about))


def _sensor_with_readings(world: World) -> int:
    _component_id(world)
    world.conn.execute("UPDATE components SET latest_time = now() WHERE device_id = %s", [world.device_id])
    return 55


def _recalibration_id(world: World) -> int:
    where = {"device_id": world.device_id, "sensor_id": _sensor_with_readings(world)}
    return int(queries.insert_recalibration(world.conn, **where, start=datetime(2000, 1, 1, tzinfo=UTC), before=None))


def _kit_id(world: World) -> int:
    slug = secrets.token_hex(6)
    kit_id = int(queries.insert_kit(world.conn, slug=f"w-{slug}", name=slug, description="", owner_id=world.owner_id))
    queries.insert_kit_components(
        world.conn, kit_id=kit_id, sensor_ids=[55], keys=["t"], intervals=[None], enabled=[True]
    )
    return kit_id


def _quarantine_id(world: World) -> int:
    payload = b'{"recorded_at":"2026-01-15T08:30:00Z","sensors":[{"id":55,"value":1}]}'
    queries.insert_quarantine(
        world.conn,
        device_ids=[world.device_id],
        token_hashes=[None],
        topics=["device/sck/+/readings"],
        payloads=[payload],
        reasons=["unknown_sensor"],
        details=[""],
    )
    row = world.conn.execute("SELECT id FROM quarantine WHERE device_id = %s", [world.device_id]).fetchone()
    assert row is not None
    return int(row["id"])


def _rollout_id(world: World) -> int:
    which = {"experiment_id": None, "user_id": world.owner_id}
    made = queries.insert_config_rollout(
        world.conn, owner_id=world.owner_id, **which, config=Jsonb({"publish_interval": 60}), percent=10
    )
    config = Jsonb({"publish_interval": 60, "components": {}, "settings": {}})
    queries.insert_config_rollout_devices(world.conn, rollout_id=made, device_ids=[world.device_id], configs=[config])
    return int(made)


def _device_error_id(world: World) -> int:
    error = {"device_ids": [world.device_id], "components": ["t"], "codes": ["E42"], "messages": [None]}
    queries.store_device_errors(world.conn, **error, times=[datetime.now(UTC)])
    row = world.conn.execute("SELECT id FROM device_errors WHERE device_id = %s", [world.device_id]).fetchone()
    assert row is not None
    return int(row["id"])


def _measurement_id(world: World) -> int:
    name = secrets.token_hex(6)
    return int(queries.insert_measurement(world.conn, name=name, description="", unit=None, definition=None))


def _sensor_id(world: World) -> int:
    return insert_sensor(world.conn, {"name": secrets.token_hex(6)})


def _tag_id(world: World) -> int:
    return int(queries.insert_tag(world.conn, name=f"w-{secrets.token_hex(6)}", description=None))


def _application_id(world: World) -> int:
    made: int = queries.insert_application(
        world.conn,
        owner_id=world.owner_id,
        name="map",
        client_id=secrets.token_urlsafe(16),
        secret_hash=hash_token("secret"),
        redirect_uris=[],
        scopes=["account"],
    )
    return made


def _job(world: World) -> str:
    queries.set_jobs(world.conn, names=list(PERIODS), periods=list(PERIODS.values()))
    return "exports.purge"


def _webhook_id(world: World) -> int:
    secret = {"secret_hash": secrets.token_bytes(32), "secret_sealed": b""}
    url = "https://example.org/almanac"
    return int(
        queries.insert_webhook(world.conn, owner_id=world.owner_id, url=url, kinds=None, most=1000, **secret)["id"]
    )


def _archive_id(world: World) -> int:
    what = {"owner_id": world.owner_id, "device_id": world.device_id, "experiment_id": None}
    return int(queries.insert_archive(world.conn, **what, period="day", question=Jsonb({"tz": "UTC"}))["id"])


def _export_id(world: World) -> int:
    export = queries.insert_export(
        world.conn, owner_id=world.owner_id, device_ids=[world.device_id], question=Jsonb({"layout": "wide"})
    )
    return int(export["id"])


PATHS: dict[str, Callable[[World], object]] = {
    "application_id": _application_id,
    "component_id": _component_id,
    "destination_id": lambda world: queries.insert_forwarding_destination(world.conn, name=secrets.token_hex(4))["id"],
    "device_id": lambda world: world.device_id,
    "device_token_id": _device_token_id,
    "archive_id": _archive_id,
    "export_id": _export_id,
    "filename": lambda world: "almanac-1.csv.gz",
    "experiment_id": _experiment_id,
    "id_or_username": lambda world: world.owner_id,
    "job": _job,
    "kit": _kit_id,
    "mail_id": lambda world: "mail-of-nobody",
    "measurement_id": _measurement_id,
    "quarantine_id": _quarantine_id,
    "upload_id": lambda world: queries.insert_upload(
        world.conn, device_id=world.device_id, filename=None, content=b"", size=0, dry_run=True
    ),
    "recalibration_id": _recalibration_id,
    "rollout_id": _rollout_id,
    "sensor_id": _sensor_id,
    "session_id": lambda world: world.session(world.owner_id)["refresh_token"].partition(".")[0],
    "tag": _tag_id,
    "tag_sensor_id": lambda world: 1,
    "signature": lambda world: "forged",
    "token": _reset,
    "token_id": _token_id,
    "webhook_id": _webhook_id,
}

BODIES: dict[str, Callable[[World], object]] = {
    "POST /v0/applications": lambda world: {"name": "map", "scopes": ["account"]},
    "POST /v0/config_rollouts": lambda world: {"config": {"publish_interval": 60}, "percent": 10},
    "POST /v0/devices": lambda world: {"name": "Balcony"},
    "POST /v0/devices/transfer": lambda world: {"transfer_token": _offer(world)},
    "POST /v0/experiments": lambda world: {"name": "Traffic"},
    "POST /v0/devices/{device_id}/calibrations": lambda world: {
        "sensor_id": _sensor_with_readings(world),
        "equation": "raw + 1",
    },
    "POST /v0/devices/{device_id}/calibrations/preview": lambda world: {
        "sensor_id": _sensor_with_readings(world),
        "equation": "raw + 1",
    },
    "POST /v0/devices/{device_id}/errors/resolve": lambda world: {"ids": [_device_error_id(world)]},
    "POST /v0/kits/{kit}/calibrations": lambda world: {"sensor_id": 55, "equation": "raw + 1"},
    "POST /v0/recalibrations": lambda world: {
        "device_id": world.device_id,
        "sensor_id": _sensor_with_readings(world),
    },
    "POST /v0/sensors/{sensor_id}/calibrations": lambda world: {"equation": "raw + 1"},
    "POST /v0/devices/{device_id}/readings": lambda world: {
        "data": [{"recorded_at": "2026-01-15T08:30:00Z", "sensors": [{"id": 55, "value": 1}]}]
    },
    "POST /v0/quarantine/release": lambda world: {"ids": [_quarantine_id(world)]},
    "POST /v0/kits": lambda world: {"name": "Kit", "components": [{"sensor_id": 55}]},
    "POST /v0/measurements": lambda world: {"name": secrets.token_hex(6), "description": ""},
    "POST /v0/sensors": lambda world: {"name": secrets.token_hex(6), "description": ""},
    "POST /v0/tag_sensors": lambda world: {"name": f"w-{secrets.token_hex(6)}"},
    "POST /v0/tags": lambda world: {"name": f"w-{secrets.token_hex(6)}"},
    "POST /v0/archives": lambda world: {"device_id": world.device_id, "period": "month"},
    "POST /v0/exports": lambda world: {"device_ids": [world.device_id]},
    "POST /v0/forwarding_destinations": lambda world: {"name": secrets.token_hex(4)},
    "POST /v0/me/tokens": lambda world: {"name": "t", "scopes": ["account"]},
    "POST /v0/onboarding/user": lambda world: {"email": f"{_username(world)}@example.org"},
    "POST /v0/password_resets": lambda world: {"username": _username(world)},
    "PATCH /v0/password_resets/{token}": lambda world: {"password": "another battery"},
    "PUT /v0/password_resets/{token}": lambda world: {"password": "another battery"},
    "POST /v0/sessions": lambda world: {"username": _username(world), "password": PASSWORD},
    "POST /v0/sessions/refresh": lambda world: {"refresh_token": world.session(world.owner_id)["refresh_token"]},
    "POST /v0/webhooks": lambda world: {"url": "https://example.org/almanac"},
    "POST /v0/users": lambda world: {
        "username": (name := f"n-{secrets.token_hex(6)}"),
        "email": f"{name}@example.org",
        "password": PASSWORD,
    },
}

QUERIES: dict[str, dict[str, Any]] = {
    "GET /v0/devices/{device_id}/readings": {"sensor_id": 55, "rollup": "1h"},
    "GET /v0/experiments/{experiment_id}/readings": {"sensor_id": 55, "rollup": "1h"},
}
