"""What every route takes, and what none accepts, whatever it is for."""

import gzip
from collections.abc import Iterator
from importlib import import_module
from io import BytesIO
from pkgutil import iter_modules

import pytest
from caller import Caller, set_role
from marshmallow import Schema, fields

import app.api
import app.schemas
from app.schemas.base import Request, WholeNumber
from sql import DictConnection


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_text_that_the_database_cannot_hold_is_refused_by_field(user: Caller, name: str) -> None:
    answer = user.post("/v0/devices", {"name": name})

    assert (answer.status_code, list(answer.json["errors"])) == (422, ["name"])


@pytest.mark.parametrize("device_id", ["0", "2147483648", "99999999999999999999", "-1", "%00", "1%00"])
def test_what_cannot_be_an_id_is_not_found(anybody: Caller, device_id: str) -> None:
    answer = anybody.get(f"/v0/devices/{device_id}")

    assert (answer.status_code, set(answer.json)) == (404, {"id", "message", "errors", "url"})


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"name": ', "is no JSON: Expecting value: line 1 column 10"),
        (b'{"name": "\xff"}', "is no JSON: 'utf-8' codec can't decode byte 0xff in position 10"),
        (b'{"name": "Roof", "latitude": %s}' % (b"9" * 5000), "is no JSON: Exceeds the limit"),
        (b'{"name": %s%s}' % (b"[" * 500, b"]" * 500), "has more than 100 levels"),
        (b"[" * 100_000, "has more than 100 levels"),
        (b"name", "is no JSON"),
    ],
)
def test_a_body_that_is_no_json_is_a_bad_request(user: Caller, body: bytes, reason: str) -> None:
    answer = user.post("/v0/devices", data=body, content_type="application/json")

    assert (answer.status_code, answer.json["id"]) == (400, "bad_request"), answer.text
    assert answer.json["errors"]["body"][0].startswith(reason)


@pytest.mark.parametrize("body", ["[]", "null", '"name"', "1"])
def test_a_body_that_is_no_object_is_said_to_be_none(user: Caller, body: str) -> None:
    answer = user.post("/v0/devices", data=body, content_type="application/json")

    assert (answer.status_code, answer.json["message"].partition(":")[0]) == (422, "body")
    assert "send its fields between { and }" in answer.json["message"]


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", None])
def test_json_is_read_as_such_whatever_it_is_called(user: Caller, content_type: str | None) -> None:
    """As curl sends it with `--data` and no header."""
    answer = user.post("/v0/devices", data='{"name": "Roof"}', content_type=content_type)

    assert (answer.status_code, answer.json["name"]) == (201, "Roof")


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_body_may_be_a_form(user: Caller, content_type: str) -> None:
    fields = {"name": "Roof", "latitude": "41.4", "longitude": "2.2", "is_private": "true", "user_tags": ""}

    made = user.post("/v0/devices", data=fields, content_type=content_type)

    assert made.status_code == 201, made.text
    assert made.json["location"]["latitude"] == 41.4
    assert made.json["data_policy"]["is_private"] is True


def test_a_form_holds_lists_and_things_in_brackets(user: Caller, conn: DictConnection) -> None:
    set_role(conn, user.user["id"], "researcher")
    path = f"/v0/devices/{user.register_device()['id']}"

    changed = user.patch(path, data={"postprocessing_attributes[hardware_url]": "SCAS210028", "name": "Roof"})
    made = user.post("/v0/experiments", data={"name": "Both", "device_ids[]": [changed.json["id"]]})

    assert changed.json["postprocessing"]["hardware_url"] == "SCAS210028"
    assert made.status_code == 201, made.text
    assert made.json["device_ids"] == [changed.json["id"]]


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("name", 5, "is no text"),
        ("name", None, "may not be null"),
        ("latitude", "north", "'north' is no number"),
        ("latitude", "nan", "is no finite number"),
        ("latitude", float("nan"), "is no finite number"),
        ("latitude", float("inf"), "is no finite number"),
        ("latitude", "x" * 100, f"'{'x' * 39} is no number"),
        ("kit_id", "x", "'x' is no whole number"),
        ("kit_id", "1_0", "'1_0' is no whole number"),
        ("kit_id", 1.5, "1.5 is no whole number"),
        ("kit_id", True, "True is no whole number"),
        ("is_private", "perhaps", "'perhaps' is neither true nor false"),
        ("postprocessing_attributes", 5, "is no object"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(user: Caller, field: str, value: object, reason: str) -> None:
    answer = user.post("/v0/devices", {"name": "Roof", field: value})

    assert (answer.status_code, answer.json["errors"]) == (422, {field: [reason]})


@pytest.mark.parametrize("kit_id", [26, 26.0, "26"])
def test_a_whole_number_may_be_written_in_other_ways(user: Caller, kit_id: object) -> None:
    made = user.post("/v0/devices", {"name": "Roof", "kit_id": kit_id})

    assert made.status_code == 201, made.text
    assert made.json["data"]["sensors"]


def test_every_integer_that_is_asked_for_must_be_whole() -> None:
    for package in (app.api, app.schemas):
        for module in iter_modules(package.__path__, f"{package.__name__}."):
            import_module(module.name)

    cut = [
        f"{schema.__name__}.{name}"
        for schema in _subclasses(Request)
        for name, field in schema._declared_fields.items()
        for wanted in (field, getattr(field, "inner", None))
        if isinstance(wanted, fields.Integer) and not isinstance(wanted, WholeNumber)
    ]

    assert cut == []


def _subclasses(kind: type[Schema]) -> Iterator[type[Schema]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def test_a_value_within_others_is_named_by_the_way_to_it(user: Caller) -> None:
    path = f"/v0/devices/{user.register_device(kit_id=26)['id']}/config"

    answer = user.put(path, {"components": {"t": {"interval": "often"}, "h": None}})

    assert answer.json["errors"] == {
        "components.t.interval": ["'often' is no number"],
        "components.h": ["may not be null"],
    }


def test_a_request_that_reaches_nothing_is_told_so(anybody: Caller, user: Caller) -> None:
    assert "/v0/nothing-here" in anybody.get("/nothing-here").json["message"]
    assert "takes GET, HEAD, OPTIONS, POST, and not DELETE" in anybody.delete("/v0/devices").json["message"]
    large = user.post("/v0/devices", data=b"{" * (10 * 2**20 + 1), content_type="application/json")
    assert (large.status_code, large.json["message"][:32]) == (413, "at most 10,485,760 bytes are tak")


@pytest.mark.parametrize(
    "path", ["/v0/devices", "/v0/devices/import", "/v0/devices/{}/readings", "/v0/devices/{}/uploads"]
)
def test_a_body_in_chunks_that_is_too_large_is_refused_and_not_cut_off(user: Caller, path: str) -> None:
    path = path.format(user.register_device()["id"])
    lines = b"TIME,TEMP\n\n\n,55\n" + b"2026-01-15T08:30:00Z,21.40\n" * 400_000

    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    answer = user.post(path, input_stream=BytesIO(lines), environ_overrides=chunked)

    assert (answer.status_code, answer.json["id"]) == (413, "content_too_large")


@pytest.mark.parametrize(
    ("path", "body"), [("/v0/devices", b'{"name": "Roof"}'), ("/v0/devices/import", b"name\nRoof\n")]
)
def test_a_body_may_be_packed(user: Caller, path: str, body: bytes) -> None:
    assert user.post(path, data=gzip.compress(body), headers={"Content-Encoding": "gzip"}).status_code in (200, 201)


@pytest.mark.parametrize("header", ["abc", "Token abc", "Bearer", "Bearer ", "Basic !", "Digest a=b"])
def test_credentials_of_another_kind_are_refused_and_not_passed_over(anybody: Caller, header: str) -> None:
    answer = anybody.get("/v0/devices", headers={"Authorization": header})

    assert (answer.status_code, answer.json["id"]) == (401, "unauthorized")
