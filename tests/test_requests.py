"""What every route takes, and what none accepts, whatever it is for."""

import pytest
from caller import Caller

from sql import DictConnection, queries


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_text_that_the_database_cannot_hold_is_refused_by_field(user: Caller, name: str) -> None:
    answer = user.post("/v0/devices", {"name": name})

    assert (answer.status_code, list(answer.json["errors"])) == (422, ["name"])


@pytest.mark.parametrize("device_id", ["0", "2147483648", "99999999999999999999", "-1", "%00", "1%00"])
def test_what_cannot_be_an_id_is_not_found(anybody: Caller, device_id: str) -> None:
    answer = anybody.get(f"/v0/devices/{device_id}")

    assert (answer.status_code, set(answer.json)) == (404, {"id", "message", "errors", "url"})


def test_a_body_that_is_no_json_is_a_bad_request(user: Caller) -> None:
    answer = user.post("/v0/devices", data=b'{"name": ', content_type="application/json")

    assert (answer.status_code, answer.json["id"]) == (400, "bad_request")


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_body_may_be_a_form(user: Caller, content_type: str) -> None:
    fields = {"name": "Roof", "latitude": "41.4", "longitude": "2.2", "is_private": "true", "user_tags": ""}

    made = user.post("/v0/devices", data=fields, content_type=content_type)

    assert made.status_code == 201, made.text
    assert made.json["location"]["latitude"] == 41.4
    assert made.json["data_policy"]["is_private"] is True


def test_a_form_holds_lists_and_things_in_brackets(user: Caller, conn: DictConnection) -> None:
    queries.set_role(conn, id=user.user["id"], role="researcher")
    path = f"/v0/devices/{user.register_device()['id']}"

    changed = user.patch(path, data={"postprocessing_attributes[hardware_url]": "SCAS210028", "name": "Roof"})
    made = user.post("/v0/experiments", data={"name": "Both", "device_ids[]": [changed.json["id"]]})

    assert changed.json["postprocessing"]["hardware_url"] == "SCAS210028"
    assert made.status_code == 201, made.text
    assert made.json["device_ids"] == [changed.json["id"]]
