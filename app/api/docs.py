"""The API's reference as a page that needs no other host."""

from flask import Blueprint, Response, render_template, session

from app.headers import page_policy

blueprint = Blueprint("docs", __name__)


@blueprint.get("/docs")
def page() -> Response:
    answer = Response(render_template("docs.html", session_kept="id" in session))
    # RapiDoc writes its styles into the page.
    answer.headers["Content-Security-Policy"] = f"{page_policy()}; style-src 'self' 'unsafe-inline'"
    answer.headers["Cache-Control"] = "private, no-cache"
    return answer
