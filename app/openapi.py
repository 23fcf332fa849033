"""What all operations of the OpenAPI document share: who may call them, how they refuse, what their paths hold."""

from collections.abc import Iterable
from typing import Any

from apispec import BasePlugin
from werkzeug.routing import Rule

from app.scopes import SCOPES, scope_of

# Ways to sign in; app.auth.signed_in says of its operations that one of them is needed. Elsewhere who signs in may
# see more.
SIGNED_IN: list[dict[str, list[str]]] = [{"bearer": []}, {"oauth2": []}, {"basic": []}]

INFO = {
    "description": (
        "A path without a version means `/v0`. A body may be a form instead of JSON, or JSON packed with gzip. "
        "Every error has the shape `Error`. Any operation may answer 429 to who asks too often, and 503 while "
        "something it needs is away; one "
        "that writes also 409 or 503 where another request was in its way: then nothing has changed, and it may be "
        "sent again. Times are UTC in seconds."
    ),
    "license": {"name": "AGPL-3.0-or-later", "identifier": "AGPL-3.0-or-later"},
}

_SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "the access token that POST /v0/sessions gives, or a private token of the named scope",
    },
    "oauth2": {
        "type": "oauth2",
        "description": "register your application with POST /v0/applications; a client library finds the rest at "
        "/.well-known/oauth-authorization-server",
        "flows": {
            "authorizationCode": {
                "authorizationUrl": "/oauth/authorize",
                "tokenUrl": "/oauth/token",
                "refreshUrl": "/oauth/token",
                "scopes": SCOPES,
            },
            "clientCredentials": {"tokenUrl": "/oauth/token", "scopes": SCOPES},
        },
    },
    "basic": {"type": "http", "scheme": "basic", "description": "username or e-mail address, and password"},
}

_PATH_PARAMETERS = {
    "archive_id": ("the archive's id", 1),
    "component_id": ("the component's id", 1),
    "application_id": ("the application's id", 1),
    "device_id": ("the device's id", 1),
    "device_token_id": ("the id of one of the device's tokens, as their list has it", 12),
    "export_id": ("the export's id", 1),
    "filename": ("the file's name", "almanac-1-balcony.csv.gz"),
    "experiment_id": ("the experiment's id", 1),
    "id_or_username": ("the user's id or username", "ada"),
    "job": ("the job's name, as their list has it", "exports.purge"),
    "mail_id": ("the mail's id, as the list of those that failed has it", "mail-digest-7"),
    "measurement_id": ("the measurement's id", 1),
    "rollout_id": ("the roll-out's id", 1),
    "recalibration_id": ("the redo's id", 1),
    "quarantine_id": ("the id of what is in quarantine", 1),
    "sensor_id": ("the sensor's id", 55),
    "session_id": ("the session's id", "0e3a9a5c-3f6e-4f0e-9d0a-3d6a9c1f2b3e"),
    "tag": ("the tag's id or name", "Barcelona"),
    "tag_sensor_id": ("the tag's id", 1),
    "signature": ("what makes the link good for a day", "WzEsImFs…"),
    "token": ("what the mailed link ends with", "3QbXk0xL1oP2…"),
    "kit": ("the kit's id, uuid or slug", "sck:2,1"),
    "destination_id": ("the destination's id", 1),
    "upload_id": ("the upload's id", 1),
    "token_id": ("the private token's id", 1),
    "webhook_id": ("the webhook's id", 1),
}

_ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}


class Conventions(BasePlugin):
    """Completes each operation by the same rules; what a view says of itself stays as it is."""

    def init_spec(self, spec: Any) -> None:
        super().init_spec(spec)
        for name, scheme in _SECURITY_SCHEMES.items():
            spec.components.security_scheme(name, scheme)

    def path_helper(  # type: ignore[override]
        self, operations: dict[str, Any], parameters: list[dict[str, Any]], rule: Rule, **kwargs: Any
    ) -> None:
        for parameter in parameters:
            description, example = _PATH_PARAMETERS.get(parameter["name"], (None, None))
            if description:
                parameter.setdefault("description", description)
                parameter.setdefault("example", example)
        for method, operation in operations.items():
            name = rule.endpoint.replace(".", "_")
            operation.setdefault("operationId", name if len(operations) == 1 else f"{name}_{method}")
            responses = operation["responses"]
            signed_in = "security" in operation
            if signed_in:
                responses.setdefault(401, {"description": "not signed in"})
            scope = scope_of(method.upper(), rule.endpoint)
            needed = [scope] if scope else []
            ways: list[dict[str, list[str]]] = [{"bearer": needed}, {"oauth2": needed}, {"basic": []}]
            if scope:
                responses.setdefault(403, {"description": f"the token lacks the scope {scope}"})
            elif scope is None and signed_in:
                ways.remove({"oauth2": []})
                responses.setdefault(403, {"description": "a private token or an application cannot do this"})
            operation["security"] = ways if signed_in else [{}, *ways]
            if "requestBody" in operation:
                responses.setdefault(400, {"description": "the body cannot be read"})
            if parameters:
                responses.setdefault(404, {"description": "there is no such thing"})

    def operation_helper(self, operations: dict[str, Any], **kwargs: Any) -> None:  # type: ignore[override]
        for operation in operations.values():
            _spell_out_errors(operation["responses"])
            _describe_query(operation.get("parameters", ()))


def _spell_out_errors(responses: dict[int | str, Any]) -> None:
    for status, response in responses.items():
        if isinstance(response, dict) and "$ref" not in response and status != "default" and int(status) >= 400:
            response.setdefault("content", _ERROR)


def _describe_query(parameters: Iterable[dict[str, Any]]) -> None:
    """A parameter is left out, never null; its example belongs to it and not to its schema."""
    for parameter in parameters:
        schema = parameter["schema"]
        if isinstance(schema.get("type"), list):
            schema["type"] = next(kind for kind in schema["type"] if kind != "null")
        if "enum" in schema:
            schema["enum"] = [value for value in schema["enum"] if value is not None]
        if schema.get("default", ...) is None:
            del schema["default"]
        examples = [schema.pop("example", None), *schema.get("enum", ()), schema.get("type") == "boolean" or None]
        example = next((example for example in examples if example is not None), None)
        if example is not None:
            parameter.setdefault("example", example)
