"""The API's reference as a page that needs no other host."""

from flask import Blueprint, Response, render_template

blueprint = Blueprint(
    "docs", __name__, template_folder="../templates", static_folder="../static", static_url_path="/static"
)


@blueprint.get("/docs")
def page() -> Response:
    answer = Response(render_template("docs.html"))
    answer.headers["Content-Security-Policy"] = (
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
    )
    return answer
