"""Headers that every answer has: those that let other sites' pages read it, and those that keep ours from harm."""

from urllib.parse import urlsplit

from flask import Flask, Response, request

# No cookie opens the API, so to let every origin in, with credentials, gives no page more than its user has given it.
# Pages of our own, which do know a cookie, are HTML or below /ui, and let nobody in.
_EXPOSED = (
    "Content-Disposition, ETag, Link, Location, Per-Page, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, "
    "Retry-After, Total, WWW-Authenticate"
)
_ALLOWED = (
    "Authorization, Cache-Control, Content-Encoding, Content-Type, Idempotency-Key, If-Modified-Since, If-None-Match, "
    "Last-Event-ID, OnboardingSession, X-Requested-With"
)
_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_PREFLIGHT_S = 86_400

_DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"


def init_app(app: Flask) -> None:
    app.before_request(_preflight)
    app.after_request(_complete)


def _preflight() -> Response | None:
    """Answer a browser that asks whether a page may ask, whatever there is at that address."""
    if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
        return None
    answer = Response(status=204, mimetype="text/plain")
    answer.headers["Access-Control-Allow-Methods"] = _METHODS
    answer.headers["Access-Control-Allow-Headers"] = _ALLOWED
    answer.headers["Access-Control-Max-Age"] = str(_PREFLIGHT_S)
    return answer


def page_policy(images_from: str = "") -> str:
    """Return the Content-Security-Policy of our pages; `images_from`: a URL whose host may give images too."""
    url = urlsplit(images_from.replace("{s}", "*"))
    host = f" {url.scheme}://{url.netloc}" if images_from else ""
    return f"default-src 'self'; img-src 'self' data:{host}; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"


def _complete(answer: Response) -> Response:
    headers = answer.headers
    is_page = answer.mimetype == "text/html" and answer.status_code != 304  # whose type is Flask's default
    origin = request.headers.get("Origin")
    if origin and not is_page and not request.path.startswith("/ui/"):
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Allow-Credentials"] = "true"
        headers["Access-Control-Expose-Headers"] = _EXPOSED
    headers.add("Vary", "Origin")
    headers.setdefault("Content-Security-Policy", page_policy() if is_page else _DATA_POLICY)
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"  # addresses of ours may hold tokens: a mailed link, a code
    if request.is_secure:
        headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    return answer
