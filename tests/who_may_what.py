"""Who may do what: what each operation answers to each caller, as a table that a person can read.

To add an operation, write its rows in the table, by path. What rests on a device has a row for each kind of device, all
else one row with `-`. An empty operation means that of the row above. Then say in tests/world.py, where it needs them,

- in PATHS, how the thing that a parameter of the path names is made; the owner owns it;
- in BODIES and QUERIES, what is sent so that nothing but permission can be the reason of a refusal.

The callers: `nobody` has not signed in; `other` is a citizen, as is the `owner`, of the device and of all else;
`researcher` and `admin` own nothing here; `revoked`, `expired` and `scope` are private tokens of the owner's, the last
good for everything but the scope that the operation asks for.
"""

from typing import NamedTuple

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
