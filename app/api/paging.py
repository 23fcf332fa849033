"""Pages of a list: which one a client asks for, and the headers that say where it stands."""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypedDict
from urllib.parse import urlencode

from flask import Response, request

from app.api.respond import answer
from app.schemas.paging import LARGEST_PAGE

_FARTHEST_PAGE = 10**9  # beyond any list, and its offset still fits PostgreSQL's bigint

PAGE_HEADERS = {
    "Total": {"description": "how many items the list has", "schema": {"type": "integer"}},
    "Per-Page": {"description": "how many of them a page holds at most", "schema": {"type": "integer"}},
    "Link": {
        "description": "addresses of the first, previous, last and next page, as far as they are others (RFC 8288)",
        "schema": {"type": "string"},
    },
}


class Window(TypedDict):
    """Which rows of a list a page has, as parameters of a query."""

    limit: int
    offset: int


class Page(NamedTuple):
    """One page of a list."""

    number: int
    size: int

    @classmethod
    def of(cls, query: dict[str, Any]) -> "Page":
        """Return the page that loaded parameters of Paging ask for."""
        return cls(min(query["page"], _FARTHEST_PAGE), min(query["per_page"], LARGEST_PAGE))

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.size

    @property
    def window(self) -> Window:
        return {"limit": self.size, "offset": self.offset}


def answer_page(items: Sequence[Any], total: int, page: Page) -> Response:
    """Answer with a page of a list that has `total` items; a page beyond the end is empty."""
    response = answer(items)
    response.headers["Total"] = str(total)
    response.headers["Per-Page"] = str(page.size)
    links = ", ".join(f'<{_address(number)}>; rel="{rel}"' for rel, number in _others(page, total))
    if links:
        response.headers["Link"] = links
    return response


def _others(page: Page, total: int) -> list[tuple[str, int]]:
    last = max(1, -(-total // page.size))
    before = [("first", 1), ("prev", page.number - 1)] if page.number > 1 else []
    after = [("last", last), ("next", page.number + 1)] if page.number < last else []
    return before + after


def _address(number: int) -> str:
    """Return this request's address with another page; encoded, it holds no comma or blank that would end the link."""
    query = [(key, value) for key, value in request.args.items(multi=True) if key != "page"]
    return f"{request.base_url}?{urlencode([*query, ('page', str(number))])}"
