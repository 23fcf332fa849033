"""Webhooks: which addresses are told of alerts, and what became of what they were told."""

import logging
from typing import Any

from flask import Response, current_app
from flask_smorest import Blueprint
from redis import RedisError

from app.api.paging import PAGE_HEADERS, Page, answer_page
from app.api.respond import answer
from app.auth import signed_in, signed_in_user
from app.database import connection
from app.errors import invalid, not_found
from app.jobs.queue import enqueue
from app.policy import owns
from app.schemas.base import Done
from app.schemas.paging import Paging
from app.schemas.webhooks import (
    Delivery,
    MadeSecret,
    MadeWebhook,
    NewWebhook,
    QueuedDelivery,
    Webhook,
    WebhookChanges,
)
from app.sealing import seal
from app.webhooks.signature import new_secret
from ingestor.tokens import hash_token
from sql import Row, queries

log = logging.getLogger(__name__)

_MOST = 20  # of one user

blueprint = Blueprint("webhooks", __name__, description="Addresses that are told of alerts about your devices")


@blueprint.get("/webhooks")
@blueprint.response(200, Webhook(many=True))
@signed_in
def index() -> Response:
    """List your webhooks, the newest first; never their secrets."""
    with connection() as conn:
        return answer([_json(row) for row in queries.webhooks_of_user(conn, owner_id=signed_in_user()["id"])])


@blueprint.post("/webhooks")
@blueprint.arguments(NewWebhook)
@blueprint.response(201, MadeWebhook)
@blueprint.alt_response(422, description="a field is missing or malformed, or you have 20 webhooks")
@signed_in
def create(fields: dict[str, Any]) -> Response:
    """Have an address told of alerts about your devices; the answer is the only one that shows the secret."""
    secret, owner_id = new_secret(), signed_in_user()["id"]
    with connection() as conn, conn.transaction():
        queries.user_to_change(conn, id=owner_id)  # of two requests at once the second counts the first
        row = queries.insert_webhook(
            conn,
            owner_id=owner_id,
            url=fields["url"],
            kinds=fields.get("kinds"),
            most=_MOST,
            **_sealed(secret),
        )
        if row is None:
            invalid(422, url=f"you have {_MOST} webhooks, which is the most: delete one")
    return answer({**_json(row), "secret": secret}, 201)


@blueprint.get("/webhooks/<int:webhook_id>")
@blueprint.response(200, Webhook)
@signed_in
def show(webhook_id: int) -> Response:
    """Show a webhook; never its secret."""
    return answer(_json(_own(webhook_id)))


@blueprint.patch("/webhooks/<int:webhook_id>")
@blueprint.arguments(WebhookChanges)
@blueprint.response(200, Webhook)
@blueprint.alt_response(422, description="a field is malformed")
@signed_in
def change(fields: dict[str, Any], webhook_id: int) -> Response:
    """Change a webhook, or switch it off and on."""
    with connection() as conn, conn.transaction():
        row = _json(_owned(queries.webhook_to_change(conn, id=webhook_id), webhook_id))
        changes = {name: fields.get(name, row[name]) for name in ("url", "kinds", "enabled")}
        return answer(_json(queries.update_webhook(conn, id=webhook_id, **changes)))


@blueprint.delete("/webhooks/<int:webhook_id>")
@blueprint.response(200, Done)
@signed_in
def delete(webhook_id: int) -> Response:
    """Delete a webhook: from now on it is told nothing."""
    _own(webhook_id)
    with connection() as conn:
        queries.delete_webhook(conn, id=webhook_id)
    return answer({"message": "OK"})


@blueprint.post("/webhooks/<int:webhook_id>/secret")
@blueprint.response(201, MadeSecret)
@signed_in
def rotate(webhook_id: int) -> Response:
    """Give a webhook another secret. For a day both sign, so that the receiver need not change at the same moment."""
    _own(webhook_id)
    secret = new_secret()
    with connection() as conn:
        queries.rotate_webhook_secret(conn, id=webhook_id, **_sealed(secret))
    return answer({"secret": secret}, 201)


@blueprint.post("/webhooks/<int:webhook_id>/test")
@blueprint.response(202, QueuedDelivery)
@blueprint.alt_response(422, description="the webhook is switched off")
@signed_in
def test(webhook_id: int) -> Response:
    """Send a webhook something that is no alert; its list of deliveries shows what became of it."""
    with connection() as conn, conn.transaction():
        if not _json(_owned(queries.webhook_to_change(conn, id=webhook_id), webhook_id))["enabled"]:
            invalid(422, enabled="this webhook is switched off: switch it on first")
        delivery = queries.insert_test_delivery(conn, webhook_id=webhook_id)
    try:
        enqueue("webhooks.deliver")
    except RedisError:
        log.warning("no worker woken up: the next minute's run delivers", exc_info=True)
    return answer(delivery, 202)


@blueprint.get("/webhooks/<int:webhook_id>/deliveries")
@blueprint.arguments(Paging, location="query", error_status_code=400)
@blueprint.response(200, Delivery(many=True), headers=PAGE_HEADERS)
@signed_in
def deliveries(query: dict[str, Any], webhook_id: int) -> Response:
    """List what a webhook was told in the last 30 days, the newest first."""
    _own(webhook_id)
    page = Page.of(query)
    with connection() as conn:
        total = queries.deliveries_total(conn, webhook_id=webhook_id)
        rows = queries.deliveries_of_webhook(conn, webhook_id=webhook_id, **page.window)
    return answer_page(rows, total, page)


def _own(webhook_id: int) -> Row:
    with connection() as conn:
        return _owned(queries.webhook_by_id(conn, id=webhook_id), webhook_id)


def _owned(row: Row | None, webhook_id: int) -> Row:
    if row is None or not owns(row):
        not_found("webhook", webhook_id)
    return row


def _sealed(secret: str) -> Row:
    secret_key = current_app.extensions["config"].secret_key
    return {"secret_hash": hash_token(secret), "secret_sealed": seal(secret, secret_key)}


def _json(row: Row) -> Row:
    keys = ("id", "url", "kinds", "disabled_reason", "failures", "created_at")
    return {**{key: row[key] for key in keys}, "enabled": row["disabled_at"] is None}
