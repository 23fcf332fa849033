"""The grants and endpoints of the authorization server."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidRequestError, InvalidScopeError, grants
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from flask import Flask
from flask_jwt_extended import decode_token
from flask_jwt_extended.exceptions import JWTExtendedException
from jwt import PyJWTError

from app.database import connection
from app.oauth.models import Client, Code, Token
from app.scopes import SCOPES
from app.sessions import RefreshError, begin_session, find_refreshable, refresh_session
from ingestor.tokens import hash_token
from sql import Row, queries

_ACCESS_LIFETIME = timedelta(hours=1)  # applications know how to refresh
_CONFIDENTIAL = ["client_secret_basic", "client_secret_post"]
_ANY = [*_CONFIDENTIAL, "none"]


def _find_client(client_id: str) -> Client | None:
    with connection() as conn:
        row = queries.application_by_client_id(conn, client_id=client_id.replace("\0", ""))
    return Client(row) if row else None


# Tokens are kept where they are made, in begin_session and refresh_session: nothing is left to save.
server = AuthorizationServer(query_client=_find_client, save_token=lambda token, request: None)


class _AuthorizationCode(grants.AuthorizationCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = _ANY

    def save_authorization_code(self, code: str, request: Any) -> None:
        with connection() as conn:
            queries.insert_authorization_code(
                conn,
                hash=hash_token(code),
                application_id=request.client.id,
                user_id=request.user["id"],
                redirect_uri=request.payload.redirect_uri,
                scopes=request.scope.split(),
                code_challenge=request.payload.data.get("code_challenge"),
            )

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        """Use up a code. One that was used before is in two hands: the session that it made ends."""
        with connection() as conn:
            row = queries.take_authorization_code(conn, hash=hash_token(code), application_id=client.id)
            if row is None:
                queries.revoke_sessions_of_code(conn, code_hash=hash_token(code))
        return Code(row) if row else None

    def delete_authorization_code(self, authorization_code: Code) -> None:
        """It has been used up above, so that of two requests with one code one gets nothing."""

    def authenticate_user(self, authorization_code: Code) -> Row | None:
        return _user(authorization_code.user_id)

    def generate_token(self, user: Row, scope: str, **kwargs: Any) -> Row:
        return _begin(self.client, user["id"], scope, code_hash=self.request.authorization_code.hash)


class _S256(CodeChallenge):  # type: ignore[misc]
    """PKCE with SHA-256: needed by public applications, possible for all; never in the clear."""

    DEFAULT_CODE_CHALLENGE_METHOD = "S256"
    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        data = grant.request.payload.data
        given = data.get("code_challenge") or data.get("code_challenge_method")
        if given or grant.request.client.is_public:
            if not data.get("code_challenge"):
                raise InvalidRequestError("Missing 'code_challenge': this application needs PKCE")
            if data.get("code_challenge_method") != "S256":
                raise InvalidRequestError("'code_challenge_method' must be S256")
        super().validate_code_challenge(grant, redirect_uri)


class _RefreshToken(grants.RefreshTokenGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = _ANY

    def authenticate_refresh_token(self, refresh_token: str) -> Token | None:
        try:
            with connection() as conn:
                return Token(find_refreshable(conn, refresh_token, self.request.client.id))
        except RefreshError:
            return None

    def authenticate_user(self, refresh_token: Token) -> Row | None:
        return _user(refresh_token.session["user_id"])

    def issue_token(self, user: Row, refresh_token: Token) -> Row:
        scopes = (self.request.payload.scope or refresh_token.get_scope()).split()
        try:
            with connection() as conn:
                return refresh_session(conn, refresh_token.session, scopes, _ACCESS_LIFETIME)
        except RefreshError:
            raise InvalidGrantError from None

    def revoke_old_credential(self, refresh_token: Token) -> None:
        """The new refresh token has taken its place already."""


class _ClientCredentials(grants.ClientCredentialsGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = _CONFIDENTIAL

    def generate_token(self, scope: str | None, **kwargs: Any) -> Row:
        return _begin(self.client, self.client.owner_id, scope, refreshable=False)


class _Revocation(RevocationEndpoint):  # type: ignore[misc]
    """Either token ends the session of both: RFC 7009 leaves that to us, and it is what users mean."""

    CLIENT_AUTH_METHODS = _ANY

    def query_token(self, token_string: str, token_type_hint: str | None) -> Token | None:
        return _find_token(token_string)

    def revoke_token(self, token: Token, request: Any) -> None:
        with connection() as conn:
            queries.revoke_session(conn, id=token.session["id"])


class _Introspection(IntrospectionEndpoint):  # type: ignore[misc]
    CLIENT_AUTH_METHODS = _CONFIDENTIAL

    def query_token(self, token_string: str, token_type_hint: str | None) -> Token | None:
        return _find_token(token_string)

    def check_permission(self, token: Token, client: Client, request: Any) -> bool:
        return token.check_client(client)

    def introspect_token(self, token: Token) -> Row:
        session = token.session
        return {
            "active": True,
            "scope": token.get_scope(),
            "client_id": session["client_id"],
            "username": session["username"],
            "sub": str(session["user_id"]),
            "exp": token.claims.get("exp") or int(session["expires_at"].timestamp()),
        }


def init_app(app: Flask) -> None:
    """Let an app be an authorization server."""
    app.config["OAUTH2_SCOPES_SUPPORTED"] = list(SCOPES)
    server.init_app(app)


server.register_grant(_AuthorizationCode, [_S256(required=True)])
server.register_grant(_RefreshToken)
server.register_grant(_ClientCredentials)
server.register_endpoint(_Revocation)
server.register_endpoint(_Introspection)


def _user(user_id: int) -> Row | None:
    with connection() as conn:
        user: Row | None = queries.user_by_id(conn, id=user_id)
    return user


def _begin(client: Client, user_id: int, scope: str | None, **options: Any) -> Row:
    allowed = client.get_allowed_scope(scope)
    if allowed is None:
        raise InvalidScopeError
    with connection() as conn:
        return begin_session(
            conn, user_id, allowed.split(), access_lifetime=_ACCESS_LIFETIME, application_id=client.id, **options
        )


def _find_token(text: str) -> Token | None:
    """Return what an access token that has not expired or a refresh token stands for, or None."""
    session_id, _, secret = text.partition(".")
    with connection() as conn:
        try:
            session: Row | None = queries.session_of_application(conn, id=UUID(session_id))
        except ValueError:  # not one of our refresh tokens
            pass
        else:
            is_valid = session is not None and bytes(session["refresh_hash"] or b"") == hash_token(secret)
            return Token(session) if session and is_valid else None
        try:
            claims = decode_token(text)
            session = queries.session_of_application(conn, id=UUID(claims["sid"]))
        except (PyJWTError, JWTExtendedException, KeyError, ValueError):
            return None
    return Token(session, claims["scope"], claims) if session else None
