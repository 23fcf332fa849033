"""Who sits at the explorer: a cookie for us, a short-lived access token for its page to call the API.

The page keeps the token in its memory alone, and gets another when it needs one; signing out ends the session and with
it all of them. Other sites' pages cannot read these answers (app/headers.py), and change nothing without the token of
a form.
"""

from datetime import timedelta

from flask import Blueprint, Response, request, session

from app.api.respond import answer
from app.auth import user_by_password
from app.browser import check_form, form_token, remember, remembered_user
from app.errors import refuse
from app.scopes import SCOPES
from app.sessions import access_token
from sql import Row

blueprint = Blueprint("ui_session", __name__)

_LIFETIME = timedelta(hours=1)


@blueprint.get("/ui/session")
def show() -> Response:
    return _answer(remembered_user())


@blueprint.post("/ui/session")
def sign_in() -> Response:
    _check()
    user = user_by_password(request.form.get("username", ""), request.form.get("password", ""))
    if user is None:
        refuse(422, "wrong username or password")
    remember(user)
    return _answer(user)


@blueprint.post("/ui/session/end")
def sign_out() -> Response:
    _check()
    remember(None)
    return _answer(None)


def _check() -> None:
    if not check_form():
        refuse(403, "this page is too old: load it again")


def _answer(user: Row | None) -> Response:
    known = None
    if user is not None:
        token = access_token(session["id"], user["id"], SCOPES, _LIFETIME)
        known = {"id": user["id"], "username": user["username"], "role": user["role"], "access_token": token}
    shown = answer({"form_token": form_token(), "user": known})
    shown.headers["Cache-Control"] = "no-store"
    return shown
