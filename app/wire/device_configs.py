"""A device's configuration as JSON."""

from collections.abc import Sequence

from app.device_configs import difference
from sql import Row

_FIELDS = ("publish_interval", "components", "settings")


def device_config_json(rows: Sequence[Row]) -> Row:
    """Return a DeviceConfig; the rows come from device_configs_that_count."""
    desired = next((row for row in rows if row["is_desired"]), None)
    reported = next((row for row in rows if row["is_reported"]), None)
    applied = next((row for row in rows if row["is_applied"]), None)
    does = applied["config"] if applied else dict.fromkeys(_FIELDS)
    return {
        "desired": desired and {"version": desired["version"], "time": desired["created_at"], **desired["config"]},
        "reported": reported
        and {
            "version": reported["version"],
            "time": reported["reported_at"],
            "applied": reported["error"] is None,
            "error": reported["error"],
            **does,
        },
        "difference": None
        if desired is None or desired["is_applied"]
        else {
            "version": desired["version"],
            "time": desired["created_at"],
            "fields": difference(desired["config"], applied and applied["config"]),
        },
    }
