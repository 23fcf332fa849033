"""Somebody who calls the API: the test client with their credentials."""

import itertools
from typing import Any

import suite_log
from flask import Flask
from werkzeug.test import TestResponse

from sql import DictConnection

PASSWORD = "correct horse battery"
_numbers = itertools.count(1)


class Caller:
    """Calls the API's routes without and with an access token; `json` in, a response out."""

    def __init__(self, app: Flask, access_token: str | None = None, user: dict[str, Any] | None = None) -> None:
        self.app = app
        self.access_token = access_token
        self.user = user or {}
        self._client = app.test_client()

    def get(self, path: str, **options: Any) -> TestResponse:
        return self._call("GET", path, options)

    def post(self, path: str, json: Any = None, **options: Any) -> TestResponse:
        return self._call("POST", path, options if json is None else {"json": json, **options})

    def patch(self, path: str, json: Any = None, **options: Any) -> TestResponse:
        return self._call("PATCH", path, options if json is None else {"json": json, **options})

    def put(self, path: str, json: Any = None, **options: Any) -> TestResponse:
        return self._call("PUT", path, options if json is None else {"json": json, **options})

    def delete(self, path: str, **options: Any) -> TestResponse:
        return self._call("DELETE", path, options)

    def _call(self, method: str, path: str, options: dict[str, Any]) -> TestResponse:
        headers = dict(options.pop("headers", {}))
        if self.access_token:
            headers.setdefault("Authorization", f"Bearer {self.access_token}")
        answer = self._client.open(path, method=method, headers=headers, **options)
        if method == "POST" and answer.is_json:
            suite_log.note_secrets(answer.json)
        return answer

    def register_device(self, **fields: Any) -> dict[str, Any]:
        """Register a device and return the answer, which shows its token."""
        answer = self.post("/v0/devices", {"name": "Balcony", **fields})
        assert answer.status_code == 201, answer.text
        return answer.json

    def history(self, device_id: int, sensor_id: int, **query: Any) -> list[list[Any]]:
        """Return the readings of one component, oldest first."""
        answer = self.get(f"/v0/devices/{device_id}/readings", query_string={"sensor_id": sensor_id, **query})
        assert answer.status_code == 200, answer.text
        return list(reversed(answer.json["readings"]))


def sign_up(app: Flask, **fields: Any) -> Caller:
    """Make an account of its own and return its owner, signed in."""
    number = next(_numbers)
    anybody = Caller(app)
    fields = {"username": f"user{number}", "email": f"user{number}@example.org", "password": PASSWORD, **fields}
    made = anybody.post("/v0/users", fields)
    assert made.status_code == 201, made.text
    session = anybody.post("/v0/sessions", {"username": fields["username"], "password": fields["password"]})
    assert session.status_code == 200, session.text
    return Caller(app, session.json["access_token"], made.json)


def set_role(conn: DictConnection, user_id: int, role: str) -> None:
    """Make an account a citizen's, a researcher's or an admin's, as an operator does when making it."""
    conn.execute("UPDATE users SET role = %s WHERE id = %s", [role, user_id])
