"""Rows of the database in the form in which Authlib asks for them."""

import secrets
from typing import Any

from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin, TokenMixin

from ingestor.tokens import hash_token
from sql import Row


class Client(ClientMixin):  # type: ignore[misc] # Authlib carries no types
    """An application. Without a secret it is public: it runs where everybody can look into it."""

    def __init__(self, row: Row) -> None:
        self.id: int = row["id"]
        self.client_id: str = row["client_id"]
        self.name: str = row["name"]
        self.owner_id: int = row["owner_id"]
        self.owner_username: str = row["owner_username"]
        self.is_public = row["secret_hash"] is None
        self._secret_hash = bytes(row["secret_hash"] or b"")
        self._redirect_uris: list[str] = row["redirect_uris"]
        self._scopes: list[str] = row["scopes"]

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str | None:
        return self._redirect_uris[0] if len(self._redirect_uris) == 1 else None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self._redirect_uris

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """Return the scopes to grant, all that the application has where it names none; None: it asks for too much."""
        asked = (scope or "").split() or self._scopes
        return " ".join(asked) if set(asked) <= set(self._scopes) else None

    def check_client_secret(self, client_secret: str) -> bool:
        return secrets.compare_digest(self._secret_hash, hash_token(client_secret))

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return (method == "none") == self.is_public

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in ("authorization_code", "refresh_token") or not self.is_public


class Code(AuthorizationCodeMixin):  # type: ignore[misc]
    """An authorization code that has just been used up."""

    code_challenge_method = "S256"

    def __init__(self, row: Row) -> None:
        self.hash = bytes(row["hash"])
        self.user_id: int = row["user_id"]
        self.code_challenge: str | None = row["code_challenge"]
        self._redirect_uri: str | None = row["redirect_uri"]
        self._scopes: list[str] = row["scopes"]

    def get_redirect_uri(self) -> str | None:
        return self._redirect_uri

    def get_scope(self) -> str:
        return " ".join(self._scopes)


class Token(TokenMixin):  # type: ignore[misc]
    """An access or refresh token, as far as its session tells."""

    def __init__(self, session: Row, scope: str | None = None, claims: dict[str, Any] | None = None) -> None:
        self.session = session
        self.claims = claims or {}
        self._scope = scope or " ".join(session["scopes"])

    def check_client(self, client: Client) -> bool:
        return bool(self.session["application_id"] == client.id)

    def get_scope(self) -> str:
        return self._scope

    def is_expired(self) -> bool:
        return not self.session["active"]

    def is_revoked(self) -> bool:
        return not self.session["active"]
