"""What no route accepts, whatever it is for."""

import pytest
from caller import Caller


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
