"""Search: what one types is found by its beginning, whatever its accents; what is private by its owner alone."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from caller import Caller

from app.location import cities
from app.search import cities_called, tsquery_of
from sql import DictConnection

CITY = {"type", "city", "name", "layer", "country_code", "country", "latitude", "longitude"}
TAG = {"id", "type", "name", "description", "url"}
PLACE = {"city", "country_code", "country"}
DEVICE = {"id", "type", "name", "description", "owner_id", "owner_username", "url"} | PLACE
USER = {"id", "type", "username", "profile_picture", "url"} | PLACE


def find(caller: Caller, q: str, **query: Any) -> list[dict[str, Any]]:
    answer = caller.get("/v0/search", query_string={"q": q, **query})
    assert answer.status_code == 200, answer.text
    return answer.json


def word() -> str:
    """A word that nobody has used yet."""
    return "w" + uuid4().hex[:12]


def name_device(conn: DictConnection, device_id: int, city: str, country_code: str) -> None:
    conn.execute("UPDATE devices SET city = %s, country_code = %s WHERE id = %s", [city, country_code, device_id])


def test_cities_tags_devices_and_users_are_found_in_this_order(
    anybody: Caller, admin: Caller, new_user: Callable[..., Caller], conn: DictConnection
) -> None:
    name = word()
    user = new_user(username=name, city="Lleida", country_code="ES")
    admin.post("/v0/tags", {"name": f"The {name} tag"})
    device = user.register_device(name=f"{name} device", latitude=41.0, longitude=2.0)
    name_device(conn, device["id"], f"{name} city", "ES")

    hits = find(anybody, name)

    assert [(hit["type"], set(hit)) for hit in hits] == [
        ("City", CITY),
        ("Tag", TAG),
        ("Device", DEVICE),
        ("User", USER),
    ]
    assert (hits[0]["name"], hits[0]["latitude"]) == (f"{name} city, Spain", 41.0)
    assert (hits[2]["owner_username"], hits[2]["country"]) == (name, "Spain")
    assert anybody.get(hits[2]["url"].removeprefix("http://localhost")).json["id"] == device["id"]


@pytest.mark.parametrize("query", ["plaça", "PLACA", "plac", "  Plaça ", "placa 2.1", "2.1 pl"])
def test_accents_case_and_endings_do_not_matter(anybody: Caller, user: Caller, query: str) -> None:
    mark = word()
    device = user.register_device(name=f"Plaça-Kit 2.1 {mark}")

    assert [hit["id"] for hit in find(anybody, f"{query} {mark}")] == [device["id"]]


def test_every_word_must_be_there(anybody: Caller, user: Caller) -> None:
    mark = word()
    user.register_device(name=f"Roof {mark}")

    assert find(anybody, f"roof {mark}") != []
    assert find(anybody, f"cellar {mark}") == []


def test_a_country_is_found_by_its_name(anybody: Caller, user: Caller, conn: DictConnection) -> None:
    mark = word()
    device = user.register_device(name=mark)
    name_device(conn, device["id"], "Vienna", "AT")

    assert [hit["id"] for hit in find(anybody, f"{mark} austria") if hit["type"] == "Device"] == [device["id"]]
    assert find(anybody, f"{mark} germany") == []


def test_a_private_device_is_found_by_its_owner_and_admins_alone(
    anybody: Caller, user: Caller, new_user: Callable[..., Caller], admin: Caller, conn: DictConnection
) -> None:
    mark = word()
    device = user.register_device(name=mark, description="secret", is_private=True)
    name_device(conn, device["id"], f"{mark} city", "ES")

    for caller, types in ((anybody, []), (new_user(), []), (user, ["City", "Device"]), (admin, ["City", "Device"])):
        answer = caller.get(f"/v0/search?q={mark}")
        assert [hit["type"] for hit in answer.json] == types
        assert answer.headers["Total"] == str(len(types))


def test_what_is_archived_is_not_found(anybody: Caller, user: Caller, conn: DictConnection) -> None:
    mark = word()
    device = user.register_device(name=mark)
    conn.execute("UPDATE devices SET archived_at = now() WHERE id = %s", [device["id"]])

    assert find(anybody, mark) == []


def test_pages_go_through_the_whole_list_once(anybody: Caller, admin: Caller, conn: DictConnection) -> None:
    mark = word()
    for number in range(3):
        admin.post("/v0/tags", {"name": f"{mark} tag {number}"})
        device = admin.register_device(name=f"{mark} device {number}")
        name_device(conn, device["id"], f"{mark} city {number}", "ES")

    everything = find(anybody, mark, per_page=100)
    pages = [hit for page in range(1, 6) for hit in find(anybody, mark, per_page=2, page=page)]

    assert len(everything) == 9
    assert pages == everything
    assert find(anybody, mark, per_page=2, page=6) == []


def test_at_most_five_cities_and_five_tags_come_first(anybody: Caller, admin: Caller, conn: DictConnection) -> None:
    mark = word()
    for number in range(6):
        admin.post("/v0/tags", {"name": f"{mark} tag {number}"})
        device = admin.register_device(name=f"{mark} device {number}")
        name_device(conn, device["id"], f"{mark} city {number}", "ES")

    types = [hit["type"] for hit in find(anybody, mark, per_page=100)]

    assert types == ["City"] * 5 + ["Tag"] * 5 + ["Device"] * 6


@pytest.mark.parametrize("called", ["München", "munchen", "Munich", "Monaco di Baviera", "Мюнхен", "munich germany"])
def test_a_city_without_devices_is_found_by_any_of_its_names(anybody: Caller, called: str) -> None:
    city = find(anybody, called)[0]

    assert (city["type"], city["name"]) == ("City", "Munich, Germany")
    assert (city["latitude"], city["longitude"]) == pytest.approx((48.14, 11.58), abs=0.01)


def test_a_city_with_devices_is_found_once_and_where_they_are(
    anybody: Caller, user: Caller, conn: DictConnection
) -> None:
    device = user.register_device(name=word(), latitude=17.1, longitude=-61.8)
    name_device(conn, device["id"], "Basseterre", "KN")

    cities = [hit for hit in find(anybody, "basseterre", per_page=5) if hit["type"] == "City"]

    assert [(city["name"], city["latitude"]) for city in cities] == [("Basseterre, Saint Kitts and Nevis", 17.1)]


@pytest.mark.parametrize(
    ("called", "first"),
    [
        ("wien", "Vienna"),  # though the main names of others begin so
        ("frankfurt", "Frankfurt am Main"),  # the larger
        ("san jose costa rica", "San José"),
        ("paris", "Paris"),
    ],
)
def test_what_is_called_so_comes_before_what_begins_so_and_the_larger_before_the_smaller(
    called: str, first: str
) -> None:
    assert cities().names[cities_called(called, 5)[0]] == first


@pytest.mark.parametrize("typed", ["", "|", "_", "be", "xyzzyx", "germany"])
def test_no_city_is_guessed_from_next_to_nothing(typed: str) -> None:
    assert cities_called(typed, 5) == []


@pytest.mark.parametrize("path", ["/v0/search", "/v0/search?q=", "/v0/search?q=%20"])
def test_nothing_to_search_for_is_a_warning(anybody: Caller, path: str) -> None:
    answer = anybody.get(path)

    assert (answer.status_code, list(answer.json)) == (200, ["Warning"])


@pytest.mark.parametrize("q", ["'", "' | 'x", "a:*", "&", "\\", "%", "_", "!!!", "🌍", "a" * 2000, "/es", "& | !"])
def test_anything_may_be_typed(anybody: Caller, q: str) -> None:
    find(anybody, q)


def test_an_answer_may_be_kept_for_five_seconds_by_who_asked(anybody: Caller, user: Caller) -> None:
    assert anybody.get("/v0/search?q=x").headers["Cache-Control"] == "public, max-age=5"
    own = user.get("/v0/search?q=x").headers
    assert own["Cache-Control"] == "private, max-age=5"
    assert "Authorization" in own["Vary"]


def test_a_word_stands_for_the_countries_it_begins() -> None:
    assert tsquery_of("Spai") == "('spai':* | '/es')"
    assert tsquery_of("es") == "('es':*)"
    assert tsquery_of("...") is None
