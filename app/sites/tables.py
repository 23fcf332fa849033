"""Which tables sites share, and which each keeps for itself: every table stands in one of the two lists below."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Replicated:
    """A table of which every site has the same rows."""

    key: str = "id"  # columns, of a unique index, by which sites agree which row is meant
    local: str = ""  # columns that each site keeps for itself: what it has counted or noted
    faint: str = ""  # columns that machines write: where a person changes the row elsewhere meanwhile, the person wins
    # unique index -> the column in which the later of two rows gives way, as migrations/0062 has it; where two rows
    # meet in another index, the later one goes
    yielding: Mapping[str, str] = field(default_factory=dict)


_LATEST = "latest_time latest_raw latest_value previous_value"
_COUNTED = "first_reading_at last_reading_at last_received_at data_version late_version"

REPLICATED = {
    "applications": Replicated(),
    "calibrations": Replicated(),
    "components": Replicated("device_id sensor_id", local=_LATEST, yielding={"components_device_id_key_key": "key"}),
    "device_configs": Replicated("device_id version", faint="reported_at applied_at error"),
    "device_errors": Replicated(),
    "device_inventory": Replicated(),
    "device_tokens": Replicated(local="last_used_at"),
    "device_transfers": Replicated("device_id"),
    "devices": Replicated(local=_COUNTED, faint="hardware_info", yielding={"devices_mac_address_key": "mac_address"}),
    "devices_experiments": Replicated("experiment_id device_id"),
    "devices_tags": Replicated("device_id tag_id"),
    "experiments": Replicated(),
    "forwarding_destinations": Replicated(yielding={"forwarding_destinations_name_key": "name"}),
    "forwarding_tokens": Replicated("user_id"),
    "kit_components": Replicated("kit_id sensor_id", yielding={"kit_components_kit_id_key_key": "key"}),
    "kits": Replicated(yielding={"kits_slug_key": "slug"}),
    "measurements": Replicated(yielding={"measurements_name_key": "name"}),
    "orphan_devices": Replicated(local="announced_at"),
    "password_resets": Replicated("hash"),
    "postprocessings": Replicated("device_id"),
    "private_tokens": Replicated(local="last_used_at"),
    "quarantine": Replicated(),
    "sensor_tags": Replicated("sensor_id tag_sensor_id"),
    "sensors": Replicated(),
    "sessions": Replicated(),
    "tag_sensors": Replicated(yielding={"tag_sensors_name_key": "name"}),
    "tags": Replicated(yielding={"tags_name_key": "name"}),
    "users": Replicated(yielding={"users_username_key": "username", "users_email_key": "email"}),
}

LOCAL = {
    "account_changes_to_tell": "who has to be told, by the site where the account was made",
    "alerts": "found by each site from what it has; owners are told by the site where they signed up",
    "archive_changes": "follows from the site's own datapoints",
    "archive_editions": "files in the site's own storage",
    "archives": "a site's own jobs",
    "arrivals": "follows from the site's own datapoints",
    "arrivals_forgotten": "follows from the site's own datapoints",
    "authorization_codes": "lives for a minute, and is exchanged where it was given out",
    "broker_logins": "what the site's own broker has been told",
    "changes": "what carries the others",
    "config_rollout_devices": "a site's own jobs",
    "config_rollouts": "a site's own jobs; the configurations that they make are shared",
    "datapoints": "comes through the outbox",
    "device_purges": "each site deletes its own datapoints",
    "digests": "a site's own mails",
    "exports": "a site's own jobs",
    "followers": "how far the site's own forwarding has come",
    "idempotency_keys": "a retry goes where the request went; sent elsewhere, its datapoints are known already",
    "ingest_version": "moves with what arrives; each site decides on its own how long it keeps datapoints",
    "jobs": "a site's own jobs",
    "notifications": "a site's own mails",
    "outbox": "what carries the datapoints",
    "pending_changes": "what is still to be sent",
    "receivers": "the site's own ingestors",
    "recalibrations": "a site's own jobs; what they compute comes through the outbox",
    "replicated_tables": "a copy of the list above",
    "rollup_dirty": "each site refreshes its own aggregates",
    "rollup_horizon": "each site refreshes its own aggregates",
    "row_versions": "what is known of the others' rows",
    "schema_migrations": "each site is brought up to date by itself",
    "site": "which one this is",
    "uploads": "a site's own jobs; what they read comes through the outbox",
    "webhook_deliveries": "a site's own requests",
    "webhooks": "told by the site where they were made: each finds the same alerts",
}
