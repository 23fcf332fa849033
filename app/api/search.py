"""Search for cities, tags, devices and people at once."""

from collections.abc import Sequence
from typing import Any

from flask import Response, request
from flask_smorest import Api, Blueprint

from app.api.paging import PAGE_HEADERS, Page, answer_page
from app.api.respond import answer
from app.auth import current_user
from app.database import connection
from app.location import cities, country_name, place_of_city
from app.policy import viewer
from app.schemas.search import SearchHit, SearchQuery, Warned
from app.search import cities_called, tsquery_of
from sql import Row, queries

_MOST_CITIES = 5

blueprint = Blueprint("search", __name__, description="Search")

_ANSWER = {
    "anyOf": [
        {"type": "array", "items": {"$ref": "#/components/schemas/SearchHit"}},
        {"$ref": "#/components/schemas/Warned"},
    ]
}


@blueprint.get("/search")
@blueprint.arguments(SearchQuery, location="query", error_status_code=400)
@blueprint.response(200, _ANSWER, headers=PAGE_HEADERS, description="what was found, or a warning where `q` is missing")
def search(query: dict[str, Any]) -> Response:
    """Search by words or their beginnings: cities, then tags, then devices and users.

    At most five cities, those with devices first, by any name that they have in the world, and five tags. Accents and
    case do not matter.
    """
    text = query["q"].strip()[:1000]
    if not text:
        return answer({"Warning": "send what to search for as the parameter q"})
    page, words, asker = Page.of(query), tsquery_of(text), dict(viewer())
    with connection() as conn:
        hits = _cities(queries.found_cities(conn, query=words, **asker), text)
        hits += [_tag(row) for row in queries.found_tags(conn, part=text)]
        total = len(hits) + queries.found_total(conn, query=words, **asker)
        shown = hits[page.offset : page.offset + page.size]
        if len(shown) < page.size:
            limit, offset = page.size - len(shown), max(0, page.offset - len(hits))
            rows = queries.found(conn, query=words, **asker, limit=limit, offset=offset)
            shown += [_device(row) if row["type"] == "Device" else _user(row) for row in rows]
    found = answer_page(shown, total, page)
    found.headers["Cache-Control"] = f"{'public' if current_user() is None else 'private'}, max-age=5"
    found.vary.add("Authorization")
    return found


def register_schemas(api: Api) -> None:
    """Tell the OpenAPI document the shapes that its answer refers to by name."""
    for schema in (SearchHit, Warned):
        api.spec.components.schema(schema.__name__, schema=schema)


def _cities(with_devices: Sequence[Row], text: str) -> list[Row]:
    found = {(row["city"], row["country_code"]): _city(row) for row in with_devices}
    for number in cities_called(text, _MOST_CITIES):
        name, country = cities().names[number], cities().countries[number]
        row = {"city": name, "country_code": country, **place_of_city(number)._asdict()}
        found.setdefault((name, country), _city(row))
    return list(found.values())[:_MOST_CITIES]


def _city(row: Row) -> Row:
    place = _place(row)
    name = ", ".join(part for part in (place["city"], place["country"]) if part)
    return {
        "type": "City",
        "name": name,
        "layer": "city",
        **place,
        "latitude": row["latitude"],
        "longitude": row["longitude"],
    }


def _tag(row: Row) -> Row:
    return {
        "id": row["id"],
        "type": "Tag",
        "name": row["name"],
        "description": row["description"],
        "url": _url("tags", row),
    }


def _device(row: Row) -> Row:
    return {
        "id": row["id"],
        "type": "Device",
        "name": row["name"],
        "description": row["description"],
        "owner_id": row["owner_id"],
        "owner_username": row["username"],
        "url": _url("devices", row),
        **_place(row),
    }


def _user(row: Row) -> Row:
    return {
        "id": row["id"],
        "type": "User",
        "username": row["username"],
        "profile_picture": "",
        "url": _url("users", row),
        **_place(row),
    }


def _place(row: Row) -> Row:
    code = row["country_code"]
    return {"city": row["city"], "country_code": code, "country": country_name(code)}


def _url(resource: str, row: Row) -> str:
    return f"{request.host_url}v0/{resource}/{row['id']}"
