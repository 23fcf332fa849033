"""What a token may be good for: the scopes, and which of them an operation asks for.

A session of a sign-in and HTTP basic credentials hold every scope; private tokens and OAuth2 access tokens hold what
they were made for. `app.auth.current_user` refuses a token that lacks the scope of the operation, so a view needs no
word about scopes: its blueprint's line here says it, and an operation that differs has a line of its own.
"""

SCOPES = {
    "devices:read": "See your private devices, their exact places, and what only their owner sees",
    "devices:write": "Register, change and archive your devices",
    "readings:read": "Read and export the readings of your private devices",
    "readings:write": "Send and upload readings of your devices",
    "account": "See and change your account, but for its password and e-mail address",
}
ALL = frozenset(SCOPES)

_OPEN = ""  # the same for everybody: any token will do

# Scope to read (GET, HEAD) and to write, by blueprint; or by operation, `blueprint.function`.
_OF_OPERATIONS: dict[str, tuple[str | None, str | None]] = {
    "accounts": ("account", "account"),
    "accounts.sign_up": (None, None),
    "applications": ("account", None),  # what is made to get at an account outlives the token that would make it
    "archives": ("readings:read", "readings:read"),
    "archives.fetch": (_OPEN, _OPEN),
    "calibrations": ("devices:read", "devices:write"),
    "calibrations.of_kit": (_OPEN, None),
    "calibrations.of_sensor": (_OPEN, None),
    "calibrations.preview": ("readings:read", "readings:read"),
    "components": ("devices:read", "devices:write"),
    "config_rollouts": ("devices:read", "devices:write"),
    "device_configs": ("devices:read", "devices:write"),
    "device_errors": ("devices:read", "devices:write"),
    "device_health": ("devices:read", "devices:write"),
    "device_imports": ("devices:read", "devices:write"),
    "device_lifecycle": ("devices:read", "devices:write"),
    "device_tokens": ("devices:read", "devices:write"),
    "devices": ("devices:read", "devices:write"),
    "devices_v1": ("devices:read", "devices:read"),
    "experiments": ("devices:read", "devices:write"),
    "experiments.readings": ("readings:read", "readings:read"),
    "exports": ("readings:read", "readings:read"),
    "exports.fetch": (_OPEN, _OPEN),
    "forwarding": ("readings:read", "account"),
    "forwarding.add_destination": (None, "devices:write"),
    "forwarding.create": (None, None),
    "forwarding.destinations": (_OPEN, None),
    "forwarding.drop_destination": (None, "devices:write"),
    "forwarding.may_subscribe": (_OPEN, None),
    "home": (_OPEN, _OPEN),
    "jobs": ("account", "account"),
    "kits": (_OPEN, "devices:write"),
    "latest_values": ("readings:read", None),
    "maps": ("devices:read", "devices:read"),
    "measurements": (_OPEN, "devices:write"),
    "onboarding": ("devices:read", "devices:write"),
    "quarantine": ("readings:read", "readings:write"),
    "readings": ("readings:read", "readings:write"),
    "recalibrations": ("devices:read", "devices:write"),
    "search": ("devices:read", "devices:read"),
    "sending": ("readings:read", "readings:write"),
    "sending.add": (_OPEN, _OPEN),
    "sending.clock": (_OPEN, _OPEN),
    "sensors": (_OPEN, "devices:write"),
    "sessions.end": ("account", "account"),
    "sessions.index": ("account", "account"),
    "stream": ("readings:read", None),
    "tags": (_OPEN, "devices:write"),
    "tokens": ("account", "account"),
    "tokens.create": (None, None),
    "uploads": ("readings:read", "readings:write"),
    "users": ("devices:read", "account"),
    "webhooks": ("account", None),  # they tell of private devices for as long as they are there
}


def scope_of(method: str, endpoint: str) -> str | None:
    """Return the scope that an operation asks for.

    "": any token will do; None, where no line says anything: only one without limits.
    """
    scopes = _OF_OPERATIONS.get(endpoint) or _OF_OPERATIONS.get(endpoint.rpartition(".")[0]) or (None, None)
    return scopes[method not in ("GET", "HEAD")]


def takes_token_in_query(method: str, rule: str) -> bool:
    """Whether an operation takes its token as `access_token=` too: where smartcitizen-node sends it.

    Elsewhere it does not: addresses end in logs, histories and Referer headers.
    """
    return method == "POST" and rule == "/v0/devices/<int:device_id>/readings"
