"""What a client may ask of a list of devices."""

from typing import Any

from marshmallow import fields

from app.api.filtering import BOOLEAN, INTEGER, JSON, TEXT, TIME, UUID_, Filterable, FiltersField
from app.location import Box, Place
from app.schemas.fields import BoxField, PlaceField
from app.schemas.paging import Paging

_DEFAULT_WITHIN_KM = 1000.0
_FARTHEST_KM = 20_037.0  # half of the Earth's circumference

DEVICES = Filterable(
    attributes={
        "id": INTEGER,
        "uuid": UUID_,
        "name": TEXT,
        "description": TEXT,
        "state": TEXT,
        "exposure": TEXT,
        "kit_id": INTEGER,
        "city": TEXT,
        "country_code": TEXT,
        "geohash": TEXT,
        "is_private": BOOLEAN,
        "is_test": BOOLEAN,
        "last_reading_at": TIME,
        "created_at": TIME,
        "updated_at": TIME,
        "owner_id": INTEGER,
        "owner_uuid": UUID_,
        "owner_username": TEXT,
        "owner_city": TEXT,
        "owner_country_code": TEXT,
        "postprocessing_id": INTEGER,
        "postprocessing_blueprint_url": TEXT,
        "postprocessing_hardware_url": TEXT,
        "postprocessing_latest_postprocessing": TIME,
        "postprocessing_created_at": TIME,
        "postprocessing_updated_at": TIME,
        "postprocessing_meta": JSON,
        "postprocessing_forwarding_params": JSON,
        "tags_id": INTEGER,
        "tags_uuid": UUID_,
        "tags_name": TEXT,
        "tags_description": TEXT,
        "sensors_id": INTEGER,
        "sensors_name": TEXT,
        "sensors_measurement_id": INTEGER,
    },
    admin_attributes={
        "mac_address": TEXT,
        "precise_location": BOOLEAN,
        "enable_forwarding": BOOLEAN,
        "forwarding_destination_name": TEXT,
        "hardware_info": JSON,
        "hardware_name_override": TEXT,
        "hardware_type_override": TEXT,
        "hardware_version_override": TEXT,
        "hardware_slug_override": TEXT,
    },
    many=frozenset(
        {
            "tags_id",
            "tags_uuid",
            "tags_name",
            "tags_description",
            "sensors_id",
            "sensors_name",
            "sensors_measurement_id",
        }
    ),
)


class DevicesQuery(Paging):
    """Parameters of GET /devices."""

    q = FiltersField(DEVICES)
    with_tags = fields.String(
        load_default=None, metadata={"description": "devices with one of these tags, by name", "example": "air|school"}
    )
    near = PlaceField(
        load_default=None,
        metadata={
            "description": "`latitude,longitude`: devices around that place, the nearest first",
            "example": "41.39,2.19",
        },
    )
    within = fields.Float(
        load_default=_DEFAULT_WITHIN_KM,
        metadata={"description": "how far from `near`, in kilometres", "example": 5},
    )
    bbox = BoxField(
        load_default=None,
        metadata={"description": "`west,south,east,north`: devices in that box", "example": "2.0,41.3,2.3,41.5"},
    )


def restrictions(query: dict[str, Any]) -> dict[str, Any]:
    """Return what loaded parameters of DevicesQuery say as parameters of the query devices_listed."""
    near: Place | None = query["near"]
    box: Box | None = query["bbox"]
    return {
        "tags": query["with_tags"].split("|") if query["with_tags"] else None,
        "near_latitude": near.latitude if near else None,
        "near_longitude": near.longitude if near else None,
        "within_km": min(max(query["within"], 0.0), _FARTHEST_KM),
        **(box._asdict() if box else dict.fromkeys(Box._fields)),
    }
