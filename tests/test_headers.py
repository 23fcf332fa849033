"""Headers: pages of every origin can use the API and see what it says of paging and limits; ours are kept from harm."""

import gzip

import pytest
from caller import Caller

ORIGIN = {"Origin": "https://dashboard.example"}


@pytest.mark.parametrize("path", ["/v0/devices/1", "/v0/me", "/v0/nothing-here", "/healthz", "/v0/devices/1/readings"])
def test_a_page_of_any_origin_reads_answers_and_errors(anybody: Caller, path: str) -> None:
    headers = anybody.get(path, headers=ORIGIN).headers

    assert headers["Access-Control-Allow-Origin"] == ORIGIN["Origin"]
    assert headers["Access-Control-Allow-Credentials"] == "true"
    assert "Origin" in headers["Vary"]
    exposed = set(headers["Access-Control-Expose-Headers"].split(", "))
    assert exposed >= {"Total", "Per-Page", "Link", "ETag", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"}
    assert exposed >= {"Location", "Content-Disposition", "WWW-Authenticate"}


@pytest.mark.parametrize("path", ["/v0/devices/1", "/devices/1", "/v0/nothing-here"])
@pytest.mark.parametrize("method", ["PATCH", "PUT", "DELETE"])
def test_a_browser_may_ask_before_it_sends(anybody: Caller, path: str, method: str) -> None:
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization"}

    answer = anybody._client.options(path, headers={**ORIGIN, **asked})

    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN["Origin"]
    assert method in answer.headers["Access-Control-Allow-Methods"]
    allowed = {header.lower() for header in answer.headers["Access-Control-Allow-Headers"].split(", ")}
    assert allowed >= {"authorization", "onboardingsession", "content-type", "idempotency-key"}
    assert allowed >= {"last-event-id", "content-encoding"}  # of a page that listens with a token, of one that packs


def test_no_page_of_ours_can_be_read_by_others(anybody: Caller) -> None:
    assert "Access-Control-Allow-Origin" not in anybody.get("/docs", headers=ORIGIN).headers


@pytest.mark.parametrize("path", ["/docs", "/v0/devices/1", "/v0/nothing-here"])
def test_answers_are_not_sniffed_framed_or_told_on(anybody: Caller, path: str) -> None:
    headers = anybody.get(path).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    policy = headers["Content-Security-Policy"].split("; ")
    assert "default-src 'self'" in policy or "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy


def test_a_304_is_no_page(user: Caller) -> None:
    """A browser puts its headers in the place of those it keeps."""
    path = f"/v0/devices/{user.register_device()['id']}/readings?sensor_id=55&rollup=1h&to=2026-01-15"
    etag = user.get(path).headers["ETag"]

    again = user.get(path, headers={**ORIGIN, "If-None-Match": etag})

    assert again.status_code == 304
    assert again.headers["Access-Control-Allow-Origin"] == ORIGIN["Origin"]
    assert again.headers["Content-Security-Policy"] == user.get(path).headers["Content-Security-Policy"]


def test_only_over_tls_a_browser_is_told_to_stay_there(anybody: Caller) -> None:
    assert "Strict-Transport-Security" not in anybody.get("/healthz").headers
    assert "Strict-Transport-Security" in anybody.get("/healthz", base_url="https://almanac.example").headers


def test_files_of_pages_travel_compressed_and_not_at_all_when_the_client_has_them(anybody: Caller) -> None:
    path = "/static/explorer/explorer.css"
    plain = anybody.get(path)
    packed = anybody.get(path, headers={"Accept-Encoding": "gzip"})
    again = anybody.get(path, headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["ETag"]})
    part = anybody.get(path, headers={"Accept-Encoding": "gzip", "Range": "bytes=0-9"})

    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) < len(plain.data) / 2
    assert (again.status_code, again.data) == (304, b"")
    assert (part.status_code, part.data) == (206, plain.data[:10])
    assert anybody.get("/static/vendor/leaflet-1.9.4/images/layers.png").data.startswith(b"\x89PNG")
