"""Maps: who is on them, what they show, and how they travel."""

import gzip
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from caller import Caller
from werkzeug.test import TestResponse

from app.api import maps
from sql import DictConnection

PLACE = {"latitude": 10.5, "longitude": 20.25}
MAP_KEYS = [
    "id",
    "name",
    "description",
    "state",
    "system_tags",
    "user_tags",
    "last_reading_at",
    "location",
    "hardware",
]


@pytest.fixture(autouse=True)
def _new_maps() -> Iterator[None]:
    maps.forget()
    yield
    maps.forget()


@pytest.fixture
def put(user: Caller, conn: DictConnection) -> Callable[..., int]:
    """Registers a device of the user's that was heard of a minute ago."""

    def put(heard: bool = True, **fields: Any) -> int:
        device_id: int = user.register_device(**{**PLACE, **fields})["id"]
        if heard:
            conn.execute("UPDATE devices SET last_reading_at = now() - interval '1 minute' WHERE id = %s", [device_id])
        return device_id

    return put


def ids(answer: TestResponse) -> set[int]:
    assert answer.status_code == 200, answer.text
    return {device["id"] for device in answer.json}


@pytest.mark.parametrize("path", ["/v0/devices/world_map", "/devices/fresh_world_map"])
def test_a_map_shows_the_contracts_keys(anybody: Caller, put: Callable[..., int], path: str) -> None:
    device_id = put(exposure="outdoor", hardware_version_override="2.1", latitude=41.39699, longitude=2.19456)

    (shown,) = [device for device in anybody.get(path).json if device["id"] == device_id]

    assert list(shown) == MAP_KEYS
    assert shown["location"] == {
        "exposure": "outdoor",
        "latitude": 41.39699,
        "longitude": 2.19456,
        "city": "Barcelona",
        "country": "Spain",
    }
    assert shown["hardware"] == {
        "name": "SmartCitizen Kit 2.1",
        "type": "SCK",
        "version": "2.1",
        "slug": "sck:2,1",
        "last_status_message": "[FILTERED]",
    }
    assert shown["system_tags"] == ["new", "online", "outdoor"]
    assert (shown["state"], shown["user_tags"]) == ("has_published", [])


def test_only_public_devices_with_a_place_and_a_reading_are_on_maps(
    anybody: Caller, user: Caller, admin: Caller, new_user: Callable[..., Caller], put: Callable[..., int]
) -> None:
    public, private = put(), put(is_private=True)
    hidden = {put(heard=False), put(latitude=None, longitude=None), put(name="archived"), put(name="test")}
    *_, archived, test = sorted(hidden)
    user.delete(f"/v0/devices/{archived}")
    admin.patch(f"/v0/devices/{test}", {"is_test": True})

    def seen(caller: Caller, path: str) -> set[int]:
        answer = caller.get(path)
        shown = ids(answer) if isinstance(answer.json, list) else {f.get("id") for f in answer.json["features"]}
        return shown & {public, private, *hidden}

    assert seen(user, "/v0/devices/world_map") == {public}
    for path in ("/v0/devices/fresh_world_map", "/v0/devices/map.geojson"):
        assert seen(anybody, path) == {public}
        assert seen(new_user(), path) == {public}
        assert seen(user, path) == seen(admin, path) == {public, private}


def test_the_world_map_is_kept_for_a_minute_and_the_fresh_one_is_not(
    anybody: Caller, put: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ids(anybody.get("/v0/devices/world_map"))
    device_id = put()

    assert ids(anybody.get("/v0/devices/world_map")) == before
    assert device_id in ids(anybody.get("/v0/devices/fresh_world_map"))
    monkeypatch.setattr(maps.time, "monotonic", lambda now=maps.time.monotonic: now() + 61)
    assert device_id in ids(anybody.get("/v0/devices/world_map"))


@pytest.mark.parametrize("path", ["/v0/devices/world_map", "/v0/devices/fresh_world_map", "/v0/devices/map.geojson"])
def test_a_map_travels_compressed_and_not_at_all_when_the_client_has_it(
    anybody: Caller, put: Callable[..., int], path: str
) -> None:
    put()
    plain = anybody.get(path)
    packed = anybody.get(path, headers={"Accept-Encoding": "gzip"})
    again = anybody.get(path, headers={"If-None-Match": packed.headers["ETag"], "Accept-Encoding": "gzip"})

    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert "Content-Encoding" not in plain.headers
    assert (again.status_code, again.data) == (304, b"")


def test_an_imprecise_device_is_where_everybody_may_see_it(
    anybody: Caller, user: Caller, put: Callable[..., int]
) -> None:
    device_id = put(precise_location=False)
    shown = anybody.get(f"/v0/devices/{device_id}").json["location"]
    for caller, path in ((anybody, "world_map"), (user, "fresh_world_map")):
        (on_map,) = [d for d in caller.get(f"/v0/devices/{path}").json if d["id"] == device_id]

        assert (on_map["location"]["latitude"], on_map["location"]["longitude"]) == (
            shown["latitude"],
            shown["longitude"],
        )


def test_geojson_is_of_the_box_and_slim(anybody: Caller, put: Callable[..., int]) -> None:
    name = f'"Roof" & <b>\\ {secrets.token_hex(4)} é'
    inside, outside = put(name=name), put(latitude=12.0)

    answer = anybody.get("/v0/devices/map.geojson?bbox=20,10,21,11")
    features = {feature["id"]: feature for feature in orjson.loads(answer.data)["features"]}

    assert answer.mimetype == "application/geo+json"
    assert features[inside] == {
        "type": "Feature",
        "id": inside,
        "geometry": {"type": "Point", "coordinates": [20.25, 10.5]},
        "properties": {"name": name, "online": True},
    }
    assert outside not in features


def test_a_box_may_cross_the_antimeridian(anybody: Caller, put: Callable[..., int]) -> None:
    east, west, elsewhere = put(longitude=179.5), put(longitude=-179.5), put(longitude=0.0)

    answer = anybody.get("/v0/devices/map.geojson?bbox=179,10,-179,11").json
    shown = {feature["id"] for feature in answer["features"]}

    assert {east, west} <= shown
    assert elsewhere not in shown


def test_clusters_hold_every_device_once_and_fall_apart_as_one_zooms_in(
    anybody: Caller, put: Callable[..., int]
) -> None:
    box = "-60,-60,-59,-59"
    near = [put(latitude=-59.5 + step / 10_000, longitude=-59.5) for step in range(3)]
    alone = put(latitude=-59.1, longitude=-59.9)

    def features(**query: Any) -> list[Any]:
        return list(anybody.get("/v0/devices/map.geojson", query_string={"bbox": box, **query}).json["features"])

    def count(feature: Any) -> int:
        return int(feature["properties"].get("count", 1))

    (world,) = features(zoom=0)
    assert world["properties"] == {"count": 4, "online": 4}
    assert "id" not in world
    city = features(zoom=8)
    assert sorted(map(count, city)) == [1, 3]
    (cluster,) = [feature for feature in city if count(feature) == 3]
    assert cluster["geometry"]["coordinates"] == [-59.5, -59.4999]
    assert {feature["id"] for feature in features(zoom=18)} == {*near, alone} == {f["id"] for f in features()}


def test_a_map_is_filtered_by_tag_kit_and_being_online(
    anybody: Caller, admin: Caller, put: Callable[..., int], conn: DictConnection
) -> None:
    tag = f"tag {secrets.token_hex(4)}"
    for name in (tag, f"{tag} too"):
        admin.post("/v0/tags", {"name": name})
    tagged, of_kit, silent = put(user_tags=tag), put(kit_id=26, user_tags=f"{tag} too"), put()
    conn.execute("UPDATE devices SET last_reading_at = now() - interval '2 hours' WHERE id = %s", [silent])

    def shown(**query: Any) -> set[int]:
        features = anybody.get("/v0/devices/map.geojson", query_string={"bbox": "20,10,21,11", **query}).json[
            "features"
        ]
        return {feature["id"] for feature in features} & {tagged, of_kit, silent}

    assert shown() == {tagged, of_kit, silent}
    assert shown(with_tags=f"other|{tag}") == {tagged}
    assert shown(kit_id=26) == {of_kit}
    assert shown(online="true") == {tagged, of_kit}


def test_a_map_shows_the_latest_values_of_a_measurement_of_clusters_their_mean_and_a_scale(
    anybody: Caller, user: Caller, put: Callable[..., int]
) -> None:
    box = "-70,-70,-69,-69"
    warm, cold, dumb = (put(latitude=-69.5, longitude=-69.5 + step / 10_000) for step in range(3))
    for device_id, value in ((warm, 30.0), (cold, 10.0)):
        data = [{"recorded_at": "2026-01-15T08:30:00Z", "sensors": [{"id": 55, "value": value}]}]
        assert user.post(f"/v0/devices/{device_id}/readings", {"data": data}).status_code == 200

    def answer(**query: Any) -> Any:
        return anybody.get("/v0/devices/map.geojson", query_string={"bbox": box, "measurement_id": 1, **query}).json

    alone = {feature["id"]: feature["properties"].get("value") for feature in answer()["features"]}
    assert alone == {warm: 30.0, cold: 10.0, dumb: None}
    (cluster,) = answer(zoom=3)["features"]
    assert (cluster["properties"]["count"], cluster["properties"]["value"]) == (3, 20.0)
    assert answer()["values"]["unit"] == "ºC"
    assert "values" not in anybody.get("/v0/devices/map.geojson").json


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        ([20, 21, 22, 23, 1000], 20, 23),
        ([-45, 20, 21, 22, 23, 24], 20, 24),
        ([20, 20, 20, 20, 35], 20, 35),
        ([20], 20, 20),
    ],
    ids=["one far above", "one far below", "most alike", "one"],
)
def test_one_broken_sensor_among_few_does_not_make_the_scale(
    anybody: Caller, admin: Caller, put: Callable[..., int], values: list[float], low: float, high: float
) -> None:
    name = secrets.token_hex(4)
    measurement = admin.post("/v0/measurements", {"name": name, "description": "…"}).json["id"]
    sensor = admin.post("/v0/sensors", {"name": name, "description": "…", "measurement_id": measurement}).json["id"]
    for value in values:
        data = [{"recorded_at": "2026-01-15T08:30:00Z", "sensors": [{"id": sensor, "value": value}]}]
        assert admin.post(f"/v0/devices/{put()}/readings", {"data": data}).status_code == 200

    scale = anybody.get("/v0/devices/map.geojson", query_string={"measurement_id": measurement}).json["values"]

    assert (scale["low"], scale["high"]) == (low, high)


@pytest.mark.parametrize("query", [{"bbox": "1,2"}, {"zoom": "-1"}, {"zoom": "x"}, {"bbox": "0,9,1,8"}])
def test_what_is_no_box_or_zoom_is_refused(anybody: Caller, query: dict[str, str]) -> None:
    assert anybody.get("/v0/devices/map.geojson", query_string=query).status_code == 400


def test_every_long_answer_is_compressed_for_who_accepts_it(user: Caller, put: Callable[..., int]) -> None:
    for _ in range(3):
        put()
    path = f"/v0/devices?q[owner_id_eq]={user.user['id']}"

    packed = user.get(path, headers={"Accept-Encoding": "br, gzip"})

    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in ", ".join(packed.headers.getlist("Vary"))
    assert orjson.loads(gzip.decompress(packed.data)) == user.get(path).json
    assert "Content-Encoding" not in user.get(path, headers={"Accept-Encoding": "gzip;q=0"}).headers
    assert "Content-Encoding" not in user.get("/healthz", headers={"Accept-Encoding": "gzip"}).headers


def test_a_long_history_is_compressed_too(user: Caller, put: Callable[..., int]) -> None:
    path = f"/v0/devices/{put()}/readings"
    minutes = [
        {"recorded_at": f"2026-01-15T{hour:02}:{minute:02}:00Z", "sensors": [{"id": 55, "value": minute}]}
        for hour in range(3)
        for minute in range(60)
    ]
    assert user.post(path, {"data": minutes}).status_code == 200
    query = {"sensor_id": 55, "rollup": "1m", "from": "2026-01-15", "to": "2026-01-16"}

    plain = user.get(path, query_string=query)
    packed = user.get(path, query_string=query, headers={"Accept-Encoding": "gzip"})

    assert packed.headers["Content-Encoding"] == "gzip"
    assert orjson.loads(gzip.decompress(packed.data))["readings"] == plain.json["readings"]
    assert len(packed.data) < len(plain.data) / 5
