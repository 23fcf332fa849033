"""The addresses of the authorization server: a page where users agree, and endpoints for applications.

They answer in the forms of their standards (RFC 6749, 7009, 7662, 8414), not in ours.
"""

from typing import Any
from urllib.parse import urlsplit

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749.errors import InsecureTransportError
from flask import Blueprint, Response, current_app, redirect, render_template, request
from werkzeug.exceptions import HTTPException

from app.auth import user_by_password
from app.browser import check_form, form_token, remember, remembered_user
from app.oauth.server import server
from app.scopes import SCOPES
from sql import Row

blueprint = Blueprint("oauth", __name__, template_folder="../templates")


@blueprint.route("/oauth/authorize", methods=["GET", "POST"])
def authorize() -> Any:
    """Let a user sign in, and agree or not, and send them back to the application."""
    user = remembered_user()
    try:
        grant = server.get_consent_grant(end_user=user)
    except OAuth2Error as error:
        if error.redirect_uri:  # a request of a known application: its fault is its own to show
            return server.handle_error_response(None, error)
        return _page("oauth/error.html", 400, reason=error.description or error.error)
    except ValueError:  # Authlib quotes what it was sent, and may not find it fit to be quoted
        return _page("oauth/error.html", 400, reason="The request holds what no such request may hold.")
    about = {"application": grant.client, "host": urlsplit(grant.redirect_uri).netloc or grant.redirect_uri}
    if user is None:
        return _sign_in(about)
    if request.method == "POST" and request.form.get("sign_out") and check_form():
        remember(None)
        return redirect(request.full_path, 303)
    if request.method == "POST" and check_form():
        agreed = user if request.form.get("answer") == "allow" else None
        return server.create_authorization_response(grant_user=agreed, grant=grant)
    scopes = [SCOPES[name] for name in grant.request.scope.split()]
    return _page("oauth/consent.html", user=user, scopes=scopes, **about)


@blueprint.post("/oauth/token")
def token() -> Response:
    """Change a code, a refresh token or an application's credentials for an access token."""
    return _answer(server.create_token_response())


@blueprint.post("/oauth/revoke")
def revoke() -> Response:
    """End the session of a token (RFC 7009)."""
    return _answer(server.create_endpoint_response("revocation"))


@blueprint.post("/oauth/introspect")
def introspect() -> Response:
    """Tell an application what a token of its own is good for (RFC 7662)."""
    return _answer(server.create_endpoint_response("introspection"))


@blueprint.get("/.well-known/oauth-authorization-server")
def metadata() -> Row:
    """Tell a client library all it needs to know (RFC 8414)."""
    url = current_app.extensions["config"].public_url
    confidential = ["client_secret_basic", "client_secret_post"]
    return {
        "issuer": url,
        "authorization_endpoint": f"{url}/oauth/authorize",
        "token_endpoint": f"{url}/oauth/token",
        "revocation_endpoint": f"{url}/oauth/revoke",
        "introspection_endpoint": f"{url}/oauth/introspect",
        "service_documentation": f"{url}/docs",
        "scopes_supported": list(SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": [*confidential, "none"],
        "revocation_endpoint_auth_methods_supported": [*confidential, "none"],
        "introspection_endpoint_auth_methods_supported": confidential,
    }


@blueprint.errorhandler(UnicodeDecodeError)
def unreadable(error: UnicodeDecodeError) -> tuple[Row, int]:
    """Answer as to any credentials that are no good: Authlib takes for granted that they are in UTF-8."""
    return {"error": "invalid_client", "error_description": "the credentials are not in UTF-8"}, 401


@blueprint.errorhandler(InsecureTransportError)
def insecure(error: InsecureTransportError) -> tuple[Row, int]:
    """Only this machine may be asked without TLS."""
    reason = "OAuth2 needs https; behind a proxy that speaks it, set TRUSTED_PROXIES to the number of proxies"
    return {"error": error.error, "error_description": reason}, 400


def _sign_in(about: Row) -> Any:
    problem, status = "", 200
    if request.method == "POST" and check_form():
        try:
            user = user_by_password(request.form.get("username", ""), request.form.get("password", ""))
        except HTTPException as error:
            problem, status = str(error.description), error.code or 500
        else:
            if user is not None:
                remember(user)
                return redirect(request.full_path, 303)
            problem, status = "Wrong username or password.", 422
    return _page("oauth/sign_in.html", status, problem=problem, username=request.form.get("username", ""), **about)


def _page(template: str, status: int = 200, **values: Any) -> Response:
    answer = Response(render_template(template, form_token=form_token(), **values), status)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _answer(answer: Response) -> Response:
    answer.headers["Cache-Control"] = "no-store"
    return answer
