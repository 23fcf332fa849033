"""Who may do what: what each operation answers to each caller, as a table that a person can read.

To add an operation, write its rows in the table, by path. What rests on a device has a row for each kind of device, all
else one row with `-`. An empty operation means that of the row above. Then say, where it needs them,

- in PATHS, how the thing that a parameter of the path names is made; the owner owns it;
- in BODIES and QUERIES, what is sent so that nothing but permission can be the reason of a refusal.

The callers: `nobody` has not signed in; `other` is a citizen, as is the `owner`, of the device and of all else;
`researcher` and `admin` own nothing here; `revoked`, `expired` and `scope` are private tokens of the owner's, the last
good for everything but the scope that the operation asks for.
"""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from flask import Flask
from psycopg.types.json import Jsonb

from app.catalogue import insert_sensor
from app.jobs.periodic import PERIODS
from app.passwords import hash_password
from app.scopes import SCOPES
from app.sessions import begin_session
from ingestor.tokens import hash_token
from sql import DictConnection, queries

CALLERS = ("nobody", "other", "owner", "researcher", "admin", "revoked", "expired", "scope")
DEVICES = ("public", "private", "archived")

TABLE = """
operation                                      device    nobody other owner researcher admin  revoked expired scope

GET    /healthz                                -            200   200   200        200   200      200     200   200
GET    /readyz                                 -            200   200   200        200   200      200     200   200

GET    /v0/admin/failed_mails                  -            403   403   403        403   200      401     401   403
POST   /v0/admin/failed_mails/{mail_id}/send   -            403   403   403        403   404      401     401   403
GET    /v0/admin/jobs                          -            403   403   403        403   200      401     401   403
POST   /v0/admin/jobs/{job}/run                -            403   403   403        403   202      401     401   403

GET    /v0/applications                        -            401   200   200        200   200      401     401   403
POST   /v0/applications                        -            401   201   201        201   201      401     401   403
GET    /v0/applications/{application_id}       -            401   404   200        404   200      401     401   403
PATCH  /v0/applications/{application_id}       -            401   404   200        404   200      401     401   403
PUT    /v0/applications/{application_id}       -            401   404   200        404   200      401     401   403
DELETE /v0/applications/{application_id}       -            401   404   200        404   200      401     401   403
POST   /v0/applications/{application_id}/secret  -          401   404   200        404   200      401     401   403

GET    /v0/config_rollouts                     -            401   200   200        200   200      401     401   403
POST   /v0/config_rollouts                     -            401   422   201        422   422      401     401   403
GET    /v0/config_rollouts/{rollout_id}        -            401   404   200        404   200      401     401   403
PATCH  /v0/config_rollouts/{rollout_id}        -            401   404   200        404   200      401     401   403

GET    /v0/devices                             -            200   200   200        200   200      401     401   403
POST   /v0/devices                             -            401   201   201        201   201      401     401   403
GET    /v0/devices/archived                    -            401   200   200        200   200      401     401   403
GET    /v0/devices/fresh_world_map             -            200   200   200        200   200      401     401   403
GET    /v0/devices/map.geojson                 -            200   200   200        200   200      401     401   403
GET    /v0/devices/world_map                   -            200   200   200        200   200      401     401   403
POST   /v0/devices/import                      -            401   400   400        400   400      401     401   403
POST   /v0/devices/transfer                    -            401   200   200        200   200      401     401   403
GET    /v0/devices/{device_id}                 public       200   200   200        200   200      401     401   403
                                               private      403   403   200        403   200      401     401   403
                                               archived     404   404   404        404   404      401     401   403
PATCH  /v0/devices/{device_id}                 public       403   403   200        403   200      401     401   403
                                               private      403   403   200        403   200      401     401   403
                                               archived     404   404   404        404   404      401     401   403
PUT    /v0/devices/{device_id}                 public       403   403   200        403   200      401     401   403
                                               private      403   403   200        403   200      401     401   403
                                               archived     404   404   404        404   404      401     401   403
DELETE /v0/devices/{device_id}                 public       403   403   200        403   200      401     401   403
                                               private      403   403   200        403   200      401     401   403
                                               archived     404   404   404        404   404      401     401   403
POST   /v0/devices/{device_id}/restore         public       404   404   404        404   404      401     401   403
                                               private      404   404   404        404   404      401     401   403
                                               archived     403   403   200        403   200      401     401   403
POST   /v0/devices/{device_id}/purge           public       404   404   404        404   404      401     401   403
                                               private      404   404   404        404   404      401     401   403
                                               archived     403   403   202        403   202      401     401   403
GET    /v0/devices/{device_id}/purge           public       404   404   404        404   404      401     401   403
                                               private      404   404   404        404   404      401     401   403
                                               archived     404   404   404        404   404      401     401   403
POST   /v0/devices/{device_id}/transfer        public       403   403   201        403   201      401     401   403
                                               private      403   403   201        403   201      401     401   403
                                               archived     404   404   404        404   404      401     401   403
DELETE /v0/devices/{device_id}/transfer        public       403   403   404        403   404      401     401   403
                                               private      403   403   404        403   404      401     401   403
                                               archived     404   404   404        404   404      401     401   403
GET    /v0/devices/{device_id}/tokens          public       401   403   200        403   200      401     401   403
                                               private      401   403   200        403   200      401     401   403
                                               archived     401   404   404        404   404      401     401   403
POST   /v0/devices/{device_id}/tokens          public       401   403   201        403   201      401     401   403
                                               private      401   403   201        403   201      401     401   403
                                               archived     401   404   404        404   404      401     401   403
DELETE /v0/devices/{device_id}/tokens/{device_token_id}  public  401  403  200        403   200      401     401   403
                                               private      401   403   200        403   200      401     401   403
                                               archived     401   404   404        404   404      401     401   403
GET    /v0/devices/{device_id}/config          public       401   403   200        403   200      401     401   403
                                               private      401   403   200        403   200      401     401   403
                                               archived     401   404   404        404   404      401     401   403
PUT    /v0/devices/{device_id}/config          public       401   403   200        403   200      401     401   403
                                               private      401   403   200        403   200      401     401   403
                                               archived     401   404   404        404   404      401     401   403
GET    /v0/devices/{device_id}/errors          public       401   403   200        403   200      401     401   403
                                               private      401   403   200        403   200      401     401   403
                                               archived     401   404   404        404   404      401     401   403
POST   /v0/devices/{device_id}/errors/resolve  public       401   403   200        403   200      401     401   403
                                               private      401   403   200        403   200      401     401   403
                                               archived     401   404   404        404   404      401     401   403
GET    /v0/devices/{device_id}/health          public       401   403   200        403   200      401     401   403
                                               private      401   403   200        403   200      401     401   403
                                               archived     401   404   404        404   404      401     401   403
GET    /v0/devices/{device_id}/readings        public       200   200   200        200   200      401     401   403
                                               private      403   403   200        403   200      401     401   403
                                               archived     404   404   404        404   404      401     401   403
GET    /v0/devices/{device_id}/readings/summary  public     200   200   200        200   200      401     401   403
                                               private      403   403   200        403   200      401     401   403
                                               archived     404   404   404        404   404      401     401   403
GET    /v0/measurements/{measurement_id}/latest  -          200   200   200        200   200      401     401   403

POST   /v0/devices/{device_id}/readings        public       401   403   200        403   200      401     401   403
                                               private      401   403   200        403   200      401     401   403
                                               archived     401   404   404        404   404      401     401   403
GET    /v0/quarantine                          -            401   200   200        200   200      401     401   403
POST   /v0/quarantine/release                  -            401   404   200        404   200      401     401   403
GET    /v0/quarantine/{quarantine_id}          -            401   404   200        404   200      401     401   403
DELETE /v0/quarantine/{quarantine_id}          -            401   404   200        404   200      401     401   403

GET    /v0/devices/{device_id}/uploads         public       401   403   200        403   200      401     401   403
                                               private      401   403   200        403   200      401     401   403
                                               archived     401   404   404        404   404      401     401   403
POST   /v0/devices/{device_id}/uploads         public       401   403   422        403   422      401     401   403
                                               private      401   403   422        403   422      401     401   403
                                               archived     401   404   404        404   404      401     401   403
GET    /v0/uploads/{upload_id}                 public       401   403   200        403   200      401     401   403
                                               private      401   403   200        403   200      401     401   403
                                               archived     401   404   404        404   404      401     401   403

GET    /v0/add                                 -            200   200   200        200   200      200     200   200
POST   /v0/add                                 -            200   200   200        200   200      200     200   200
PATCH  /v0/add                                 -            200   200   200        200   200      200     200   200
PUT    /v0/add                                 -            200   200   200        200   200      200     200   200
GET    /v0/datetime                            -            200   200   200        200   200      200     200   200
POST   /v0/datetime                            -            200   200   200        200   200      200     200   200
PATCH  /v0/datetime                            -            200   200   200        200   200      200     200   200
PUT    /v0/datetime                            -            200   200   200        200   200      200     200   200

GET    /v0/components                          -            200   200   200        200   200      401     401   403
GET    /v0/components/{component_id}           public       200   200   200        200   200      401     401   403
                                               private      403   403   200        403   200      401     401   403
                                               archived     404   404   404        404   404      401     401   403

GET    /v0/experiments                         -            200   200   200        200   200      401     401   403
POST   /v0/experiments                         -            401   201   201        201   201      401     401   403
GET    /v0/experiments/{experiment_id}         -            200   200   200        200   200      401     401   403
GET    /v0/experiments/{experiment_id}/readings  -          200   200   200        200   200      401     401   403
PATCH  /v0/experiments/{experiment_id}         -            401   403   200        403   200      401     401   403
PUT    /v0/experiments/{experiment_id}         -            401   403   200        403   200      401     401   403
DELETE /v0/experiments/{experiment_id}         -            401   403   200        403   200      401     401   403

GET    /v0/kits                                -            200   200   200        200   200      200     200   200
POST   /v0/kits                                -            401   201   201        201   201      401     401   403
GET    /v0/kits/{kit}                          -            200   200   200        200   200      200     200   200
PATCH  /v0/kits/{kit}                          -            401   403   200        403   200      401     401   403
PUT    /v0/kits/{kit}                          -            401   403   200        403   200      401     401   403
GET    /v0/kits/{kit}/calibrations             -            200   200   200        200   200      200     200   200
POST   /v0/kits/{kit}/calibrations             -            401   403   201        403   201      401     401   403

GET    /v0/devices/{device_id}/calibrations    public       200   200   200        200   200      401     401   403
                                               private      403   403   200        403   200      401     401   403
                                               archived     404   404   404        404   404      401     401   403
POST   /v0/devices/{device_id}/calibrations    public       401   403   201        403   201      401     401   403
                                               private      401   403   201        403   201      401     401   403
                                               archived     401   404   404        404   404      401     401   403
POST   /v0/devices/{device_id}/calibrations/preview public  401   200   200        200   200      401     401   403
                                               private      401   403   200        403   200      401     401   403
                                               archived     401   404   404        404   404      401     401   403

GET    /v0/recalibrations                      -            401   200   200        200   200      401     401   403
POST   /v0/recalibrations                      public       401   403   201        403   201      401     401   403
                                               private      401   403   201        403   201      401     401   403
                                               archived     401   422   422        422   422      401     401   403
GET    /v0/recalibrations/{recalibration_id}   public       401   403   200        403   200      401     401   403
                                               private      401   403   200        403   200      401     401   403
                                               archived     401   404   404        404   404      401     401   403
DELETE /v0/recalibrations/{recalibration_id}   public       401   403   200        403   200      401     401   403
                                               private      401   403   200        403   200      401     401   403
                                               archived     401   404   404        404   404      401     401   403

GET    /v0/measurements                        -            200   200   200        200   200      200     200   200
POST   /v0/measurements                        -            403   403   403        403   201      401     401   403
GET    /v0/measurements/{measurement_id}       -            200   200   200        200   200      200     200   200
PATCH  /v0/measurements/{measurement_id}       -            403   403   403        403   200      401     401   403
PUT    /v0/measurements/{measurement_id}       -            403   403   403        403   200      401     401   403

GET    /v0/sensors                             -            200   200   200        200   200      401     401   200
POST   /v0/sensors                             -            403   403   403        403   201      401     401   403
GET    /v0/sensors/{sensor_id}                 -            200   200   200        200   200      200     200   200
PATCH  /v0/sensors/{sensor_id}                 -            403   403   403        403   200      401     401   403
PUT    /v0/sensors/{sensor_id}                 -            403   403   403        403   200      401     401   403
GET    /v0/sensors/{sensor_id}/calibrations    -            200   200   200        200   200      200     200   200
POST   /v0/sensors/{sensor_id}/calibrations    -            403   403   403        403   201      401     401   403
GET    /v0/units                               -            200   200   200        200   200      200     200   200

GET    /v0/me/forwarding                       -            401   404   404        404   404      401     401   403
POST   /v0/me/forwarding                       -            401   403   403        201   201      401     401   403
DELETE /v0/me/forwarding                       -            401   404   404        404   404      401     401   403
GET    /v0/forward                             -            200   200   200        200   200      200     200   200
GET    /v0/forwarding_destinations             -            200   200   200        200   200      200     200   200
POST   /v0/forwarding_destinations             -            403   403   403        403   201      401     401   403
DELETE /v0/forwarding_destinations/{destination_id}  -      403   403   403        403   200      401     401   403

GET    /v0/stream                              -            200   200   200        200   200      401     401   403

GET    /v0/tags                                -            200   200   200        200   200      200     200   200
POST   /v0/tags                                -            403   403   403        403   201      401     401   403
GET    /v0/tags/{tag}                          -            200   200   200        200   200      200     200   200
PATCH  /v0/tags/{tag}                          -            403   403   403        403   200      401     401   403
PUT    /v0/tags/{tag}                          -            403   403   403        403   200      401     401   403
DELETE /v0/tags/{tag}                          -            403   403   403        403   200      401     401   403
GET    /v0/tag_sensors                         -            200   200   200        200   200      200     200   200
POST   /v0/tag_sensors                         -            403   403   403        403   201      401     401   403
GET    /v0/tag_sensors/{tag_sensor_id}         -            200   200   200        200   200      200     200   200

GET    /v0/devices/{device_id}/readings/csv_archive  public  401  200  200         200   200      401     401   403
                                               private      401   404   200        404   200      401     401   403
                                               archived     401   404   404        404   404      401     401   403

GET    /v0/archives                            -            401   200   200        200   200      401     401   403
POST   /v0/archives                            -            401   201   201        201   201      401     401   403
GET    /v0/archives/{archive_id}               -            401   404   200        404   200      401     401   403
DELETE /v0/archives/{archive_id}               -            401   404   204        404   204      401     401   403
GET    /v0/archives/{archive_id}/manifest      -            401   404   200        404   200      401     401   403
GET    /v0/archives/{archive_id}/download/{signature}/{filename}  -  403  403  403  403   403      403     403   403

GET    /v0/exports                             -            401   200   200        200   200      401     401   403
POST   /v0/exports                             -            401   202   202        202   202      401     401   403
GET    /v0/exports/{export_id}                 -            401   404   200        404   200      401     401   403
DELETE /v0/exports/{export_id}                 -            401   404   204        404   204      401     401   403
POST   /v0/exports/{export_id}/cancel          -            401   404   200        404   200      401     401   403
GET    /v0/exports/{export_id}/download/{signature}/{filename}  -  403  403  403    403   403      403     403   403

GET    /v0/                                    -            200   200   200        200   200      200     200   200
GET    /v0/metrics                             -            200   200   200        200   200      200     200   200
GET    /v0/search                              -            200   200   200        200   200      401     401   403
GET    /v0/version                             -            200   200   200        200   200      200     200   200

GET    /v0/me                                  -            401   200   200        200   200      401     401   403
PATCH  /v0/me                                  -            401   200   200        200   200      401     401   403
PUT    /v0/me                                  -            401   200   200        200   200      401     401   403
DELETE /v0/me                                  -            401   200   200        200   200      401     401   403
GET    /v0/me/tokens                           -            401   200   200        200   200      401     401   403
POST   /v0/me/tokens                           -            401   201   201        201   201      401     401   403
DELETE /v0/me/tokens/{token_id}                -            401   404   200        404   404      401     401   403

POST   /v0/onboarding/device                   -            201   201   201        201   201      401     401   403
GET    /v0/onboarding/device                   -            404   404   404        404   404      401     401   403
GET    /v0/onboarding/device/stream            -            404   404   404        404   404      401     401   403
PATCH  /v0/onboarding/device                   -            404   404   404        404   404      401     401   403
POST   /v0/onboarding/user                     -            200   200   200        200   200      401     401   403
POST   /v0/onboarding/register                 -            404   404   404        404   404      401     401   403

POST   /v0/password_resets                     -            200   200   200        200   200      200     200   200
GET    /v0/password_resets/{token}             -            200   200   200        200   200      200     200   200
PATCH  /v0/password_resets/{token}             -            200   200   200        200   200      200     200   200
PUT    /v0/password_resets/{token}             -            200   200   200        200   200      200     200   200

GET    /v0/sessions                            -            401   200   200        200   200      401     401   403
POST   /v0/sessions                            -            200   200   200        200   200      200     200   200
DELETE /v0/sessions                            -            400   200   200        200   200      401     401   400
DELETE /v0/sessions/{session_id}               -            401   404   200        404   404      401     401   403
POST   /v0/sessions/refresh                    -            200   200   200        200   200      200     200   200

GET    /v0/users                               -            200   200   200        200   200      401     401   403
POST   /v0/users                               -            201   201   201        201   201      201     201   201
GET    /v0/users/{id_or_username}              -            200   200   200        200   200      401     401   403
PATCH  /v0/users/{id_or_username}              -            401   403   200        403   200      401     401   403
PUT    /v0/users/{id_or_username}              -            401   403   200        403   200      401     401   403
DELETE /v0/users/{id_or_username}              -            401   403   200        403   200      401     401   403
POST   /v0/users/{id_or_username}/restore      -            401   403   403        403   404      401     401   403

GET    /v0/webhooks                            -            401   200   200        200   200      401     401   403
POST   /v0/webhooks                            -            401   201   201        201   201      401     401   403
GET    /v0/webhooks/{webhook_id}               -            401   404   200        404   200      401     401   403
PATCH  /v0/webhooks/{webhook_id}               -            401   404   200        404   200      401     401   403
DELETE /v0/webhooks/{webhook_id}               -            401   404   200        404   200      401     401   403
GET    /v0/webhooks/{webhook_id}/deliveries    -            401   404   200        404   200      401     401   403
POST   /v0/webhooks/{webhook_id}/secret        -            401   404   201        404   201      401     401   403
POST   /v0/webhooks/{webhook_id}/test          -            401   404   202        404   202      401     401   403

GET    /v1/devices                             -            200   200   200        200   200      401     401   403
GET    /v1/devices/{device_id}                 public       200   200   200        200   200      401     401   403
                                               private      403   403   200        403   200      401     401   403
                                               archived     404   404   404        404   404      401     401   403
"""

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


class Row(NamedTuple):
    operation: str  # as in GET /v0/devices/{device_id}
    device: str  # one of DEVICES, or -
    statuses: dict[str, int]  # by caller


def read_table(table: str = TABLE) -> list[Row]:
    """Return the rows of the table."""
    rows: list[Row] = []
    for line in table.splitlines()[2:]:
        if not line.strip():
            continue
        words = line.split()
        statuses = [int(word) for word in words[-len(CALLERS) :]]
        device, operation = words[-len(CALLERS) - 1], " ".join(words[: -len(CALLERS) - 1])
        rows.append(Row(operation or rows[-1].operation, device, dict(zip(CALLERS, statuses, strict=True))))
    return rows
