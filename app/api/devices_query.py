"""What a client may ask of a list of devices."""

import re
from typing import Any, NamedTuple

from flask_smorest import Api
from marshmallow import ValidationError, fields

from app.api.filtering import BOOLEAN, INTEGER, JSON, TEXT, TIME, UUID_, Filterable, FiltersField
from app.api.paging import Paging
from app.location import Place

_DEFAULT_WITHIN_KM = 1000.0
_FARTHEST_KM = 20_037.0  # half of the Earth's circumference
_DEGREES = r"-?\d{1,3}(?:\.\d{1,15})?"
_NEAR = re.compile(rf"({_DEGREES}), *({_DEGREES})", re.ASCII)
_BOX = re.compile(",".join([rf"({_DEGREES})"] * 4), re.ASCII)

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


class Box(NamedTuple):
    """Degrees; one whose west is greater than its east crosses the antimeridian."""

    west: float
    south: float
    east: float
    north: float

    def holds(self, latitude: float | None, longitude: float | None) -> bool:
        """Whether a place is known and lies in it."""
        if latitude is None or longitude is None or not self.south <= latitude <= self.north:
            return False
        if self.west <= self.east:
            return self.west <= longitude <= self.east
        return longitude >= self.west or longitude <= self.east


class PlaceField(fields.Field[Place]):
    """`lat,lng`."""

    def _deserialize(self, value: str, attr: str | None, data: Any, **kwargs: Any) -> Place:
        found = _NEAR.fullmatch(value.strip())
        if found is None:
            raise ValidationError(f"{value[:60]!r} is no place: send latitude,longitude such as 41.39,2.19")
        place = Place(*map(float, found.groups()))
        if not (-90 <= place.latitude <= 90 and -180 <= place.longitude <= 180):
            raise ValidationError("latitudes lie between -90 and 90, longitudes between -180 and 180")
        return place


class BoxField(fields.Field[Box]):
    """`west,south,east,north`."""

    def _deserialize(self, value: str, attr: str | None, data: Any, **kwargs: Any) -> Box:
        found = _BOX.fullmatch(value.replace(" ", ""))
        if found is None:
            raise ValidationError(f"{value[:80]!r} is no box: send west,south,east,north such as 2.0,41.3,2.3,41.5")
        box = Box(*map(float, found.groups()))
        if not (-90 <= box.south <= box.north <= 90 and -180 <= box.west <= 180 and -180 <= box.east <= 180):
            raise ValidationError("south lies below north, both between -90 and 90; west and east between -180 and 180")
        return box


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


def register_fields(api: Api) -> None:
    """Tell the OpenAPI document what our fields look like on the wire."""
    for field in (PlaceField, BoxField):
        api.register_field(field, "string", None)


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
