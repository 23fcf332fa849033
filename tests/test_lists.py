"""Lists: pages with their headers, filters and order, seen through GET /devices."""

import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from caller import Caller

from sql import DictConnection

NAMES = ["air", "Air 100%", "back\\slash", "under_score", "underXscore", "water"]


@pytest.fixture
def prefix() -> str:
    """What the names of one test's devices begin with."""
    return secrets.token_hex(4)


@pytest.fixture
def devices(user: Caller, prefix: str) -> list[int]:
    return [user.register_device(name=f"{prefix} {name}")["id"] for name in NAMES]


@pytest.fixture
def found(user: Caller, devices: list[int], prefix: str) -> Callable[..., list[str]]:
    """Asks for those of the test's devices that a filter lets through, and returns their names."""

    def ask(*pairs: tuple[str, str]) -> list[str]:
        answer = user.get("/v0/devices", query_string=[("q[name_start]", prefix), ("per_page", "100"), *pairs])
        assert answer.status_code == 200, answer.text
        return [device["name"].removeprefix(f"{prefix} ") for device in answer.json]

    return ask


def links(answer: Any) -> dict[str, int]:
    """Return the page each relation of the Link header leads to, in its order."""
    found = re.findall(r'<([^>]+)>; rel="(\w+)"', answer.headers.get("Link", ""))
    return {rel: int(parse_qs(urlsplit(address).query)["page"][0]) for address, rel in found}


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (1, {"last": 3, "next": 2}),
        (2, {"first": 1, "prev": 1, "last": 3, "next": 3}),
        (3, {"first": 1, "prev": 2}),
        (9, {"first": 1, "prev": 8}),
    ],
)
def test_a_page_says_where_the_others_are(
    user: Caller, devices: list[int], prefix: str, page: int, expected: Any
) -> None:
    answer = user.get("/v0/devices", query_string={"q[name_start]": prefix, "per_page": 2, "page": page})

    assert list(links(answer).items()) == list(expected.items())
    assert (answer.headers["Total"], answer.headers["Per-Page"]) == ("6", "2")
    assert [device["id"] for device in answer.json] == devices[2 * page - 2 : 2 * page]


def test_following_the_links_gives_every_device_once(user: Caller, devices: list[int], prefix: str) -> None:
    address = f"http://sensors.example:8080/v0/devices/?per_page=4&q[name_start]={prefix}&q[s]=id asc"
    ids = []
    while address:
        answer = user.get(address)
        ids += [device["id"] for device in answer.json]
        following = re.search(r'<([^>, ]+)>; rel="next"', answer.headers.get("Link", ""))
        address = following[1] if following else ""
        assert not address or address.startswith("http://sensors.example:8080/v0/devices/?")

    assert ids == devices


@pytest.mark.parametrize("nonsense", ["0", "-3", "x", "", "1.5", "9" * 5000])
def test_a_page_that_is_no_number_counts_as_the_first(
    user: Caller, devices: list[int], prefix: str, nonsense: str
) -> None:
    answer = user.get("/v0/devices", query_string={"q[name_start]": prefix, "per_page": nonsense})

    assert answer.headers["Per-Page"] == "25"
    assert len(answer.json) == len(devices)


def test_a_page_holds_at_most_a_thousand(anybody: Caller) -> None:
    assert anybody.get("/v0/devices?per_page=99999").headers["Per-Page"] == "1000"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("name_cont", "AIR", ["air", "Air 100%"]),
        ("name_i_cont", "100%", ["Air 100%"]),
        ("name_not_cont", "r", ["back\\slash"]),
        ("name_cont", "r_s", ["under_score"]),
        ("name_end", "k\\slash", ["back\\slash"]),
        ("name_matches", "%under_score", ["under_score", "underXscore"]),
        ("name_matches", "%\\", []),
        ("name_does_not_match", "%r%", ["back\\slash"]),
        ("name_cont_any", "water", ["water"]),
        ("name_or_description_or_owner_username_i_cont", "WATER", ["water"]),
        ("name_and_owner_username_cont", "water", []),
        ("description_null", "1", NAMES),
        ("description_null", "0", []),
        ("description_present", "true", []),
        ("state_eq", "never_published", NAMES),
        ("last_reading_at_gt", "2026-01-01", []),
        ("created_at_lteq", "2020-01-01 00:00:00", []),
        ("postprocessing_id_not_null", "1", []),
        ("tags_name_null", "1", NAMES),
        ("tags_name_not_in", "x", NAMES),
        ("is_private_true", "1", []),
        ("is_private_false", "1", NAMES),
        ("name_eq", " ", NAMES),  # blank values are dropped
    ],
)
def test_a_filter_lets_through(found: Callable[..., list[str]], key: str, value: str, expected: list[str]) -> None:
    assert found((f"q[{key}]", value)) == expected


def test_a_list_of_values_is_written_with_brackets(found: Callable[..., list[str]]) -> None:
    assert found(("q[name_cont_any][]", "water"), ("q[name_cont_any][]", "back")) == ["back\\slash", "water"]
    assert found(("q[name_cont_all][]", "air"), ("q[name_cont_all][]", "100%")) == ["Air 100%"]


def test_ids_and_owners_filter(user: Caller, found: Callable[..., list[str]], devices: list[int]) -> None:
    assert found(("q[id_eq]", str(devices[2]))) == ["back\\slash"]
    assert found(("q[id_in][]", str(devices[0])), ("q[id_in][]", str(devices[5]))) == ["air", "water"]
    assert found(("q[id_not_in][]", str(devices[0])), ("q[id_not_in][]", str(devices[5]))) == NAMES[1:5]
    assert found(("q[owner_id_eq]", str(user.user["id"])), ("q[id_lt]", str(devices[1]))) == ["air"]
    assert found(("q[owner_username_eq]", user.user["username"])) == NAMES


def test_tags_filter_by_any_of_a_devices_tags(
    conn: DictConnection, found: Callable[..., list[str]], devices: list[int]
) -> None:
    tags = [f"tag-{secrets.token_hex(4)}" for _ in range(2)]  # a name of digits alone has no other upper case
    for device_id, name in zip(devices, tags, strict=False):
        conn.execute(
            "WITH made AS (INSERT INTO tags (name) VALUES (%s) RETURNING id) "
            "INSERT INTO devices_tags (device_id, tag_id) SELECT %s, id FROM made",
            [name, device_id],
        )

    assert found(("q[tags_name_in][]", tags[0]), ("q[tags_name_in][]", tags[1])) == NAMES[:2]
    assert found(("q[tags_name_not_eq]", tags[0])) == NAMES[1:]
    assert found(("q[tags_name_null]", "1")) == NAMES[2:]
    assert found(("with_tags", f"{tags[1]}|nosuch")) == NAMES[1:2]
    assert found(("with_tags", tags[1].upper())) == []


def test_the_order_is_the_one_asked_for_and_ends_with_what_has_no_value(
    conn: DictConnection, found: Callable[..., list[str]], devices: list[int]
) -> None:
    now = datetime.now(UTC)
    for device_id, hours in ((devices[1], 2), (devices[4], 1)):
        conn.execute("UPDATE devices SET last_reading_at = %s WHERE id = %s", [now - timedelta(hours=hours), device_id])

    assert found(("q[s]", "id desc")) == NAMES[::-1]
    assert found(("q[sorts][]", "last_reading_at desc"), ("q[sorts][]", "id desc"))[:3] == [NAMES[4], NAMES[1], "water"]
    assert found(("q[s]", "mac_address desc")) == NAMES  # not for everybody: ignored


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sort", "id"),
        ("device_token_eq", "abc123"),
        ("mac_address_eq", "aa:bb:cc:dd:ee:ff"),
        ("owner_email_eq", "ada@example.org"),
        ("owner_password_hash_start", "a"),
        ("name", "x"),
        ("name_or_id_and_uuid_eq", "1"),
        ("id_cont", "1"),
        ("id_eq", "one"),
        ("created_at_gt", "yesterday"),
        ("uuid_eq", "1"),
        ("is_private_eq", "perhaps"),
        ("g][0][name_eq", "x"),
        ("name_eq); DROP TABLE devices; --", "x"),
        ("name_eq", "a\0b"),
        ("name_eq", "a" * 1001),
    ],
)
def test_what_is_no_filter_is_refused(user: Caller, key: str, value: str) -> None:
    answer = user.get("/v0/devices", query_string={f"q[{key}]": value})

    assert answer.status_code == 400
    assert answer.json["id"] == "bad_request"


def test_a_refusal_says_what_may_be_asked(user: Caller) -> None:
    message = user.get("/v0/devices", query_string={"q[nmae_cont]": "x"}).json["message"]

    assert "q[nmae_cont]" in message
    assert "name, description" in message
    assert "not_cont" in message


def test_no_more_is_compared_than_can_be(user: Caller) -> None:
    many = "_or_".join(["name"] * 60)

    answer = user.get("/v0/devices", query_string={f"q[{many}_cont_any][]": ["air", "water"]})

    assert answer.status_code == 400
    assert answer.json["message"].startswith("q: 120 comparisons of an attribute with a value; at most 100 are made")


def test_an_admin_filters_by_more(admin: Caller, user: Caller) -> None:
    assert admin.get("/v0/devices", query_string={"q[mac_address_null]": "1", "per_page": 1}).status_code == 200
    assert user.get("/v0/devices", query_string={"q[mac_address_null]": "1"}).status_code == 400
