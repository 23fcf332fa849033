"""Pages for people: the explorer, and what the links of mails open."""

from flask import Blueprint, Response, current_app, render_template, request, session

from app.accounts import FieldError
from app.alerts import MOST_IN_A_MAIL, digest_of, sentence
from app.api.password_resets import find_reset, reset_password
from app.config import Config
from app.database import connection
from app.headers import page_policy
from app.schemas.accounts import NewPassword
from sql import queries

blueprint = Blueprint("pages", __name__)


@blueprint.get("/explore")
def explorer() -> Response:
    """Show the map and the charts; the page asks the public API for all that it shows."""
    config: Config = current_app.extensions["config"]
    page = render_template(
        "explorer.html",
        session_kept="id" in session,
        tile_url=config.tile_url,
        tile_attribution=config.tile_attribution,
        device_broker_url=config.device_broker_url,
    )
    answer = Response(page)
    if config.tile_url:
        answer.headers["Content-Security-Policy"] = page_policy(images_from=config.tile_url)
    answer.headers["Cache-Control"] = "private, no-cache"
    return answer


@blueprint.route("/ui/password_reset/<token>", methods=["GET", "POST"])
def password_reset(token: str) -> Response:
    """Show the form, take it, and say that it worked. Whoever has the link may: it needs no other proof."""
    user, problem = find_reset(token), ""
    if user is not None and request.method == "POST":
        problem = _problem(token, request.form.get("password", ""))
        if not problem:
            return _page("password_reset/done.html", 200)
    if user is None:
        return _page("password_reset/useless.html", 404)
    return _page("password_reset/form.html", 422 if problem else 200, user=user, problem=problem)


@blueprint.route("/ui/notifications/off/<signature>", methods=["GET", "POST"])
def notifications_off(signature: str) -> Response:
    """Ask whether to stop what a mail told of, and stop it: a mail program's one click is the POST (RFC 8058).

    Whoever has the link may: it needs no other proof.
    """
    digest_id = digest_of(current_app.extensions["config"].secret_key, signature)
    with connection() as conn:
        items = queries.digest_items(conn, id=digest_id)
        if items and request.method == "POST":
            queries.switch_off(conn, digest_id=digest_id)
    return _page(
        "notifications/off.html",
        200 if items else 404,
        done=bool(items) and request.method == "POST",
        items=[sentence(item) for item in items[:MOST_IN_A_MAIL]],
        more=max(0, len(items) - MOST_IN_A_MAIL),
        devices=len({item["device_id"] for item in items}),
    )


def _problem(token: str, password: str) -> str:
    """Set the password and return "", or what is wrong with it."""
    errors = NewPassword().validate({"password": password})
    if errors:
        return "A password needs 8 to 200 characters."
    try:
        user = reset_password(token, password)
    except FieldError as error:
        return f"This password {error.reason}."
    return "" if user is not None else "This link has been used a moment ago."


def _page(template: str, status: int, **values: object) -> Response:
    answer = Response(render_template(template, **values), status)
    answer.headers["Cache-Control"] = "no-store"
    return answer
