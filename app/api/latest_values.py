"""The latest values of a measurement, wherever it is measured."""

from hashlib import blake2b

from flask import Response, request
from flask_smorest import Blueprint

from app.api.respond import to_json
from app.auth import current_user
from app.database import source
from app.errors import not_found
from app.policy import viewer
from app.schemas.readings import LatestValues
from app.wire.latest_values import feature_collection_json, latest_values_json
from sql import queries

blueprint = Blueprint("latest_values", __name__, description="Latest values of a measurement")

_JSON, _GEOJSON = "application/json", "application/geo+json"


@blueprint.get("/measurements/<int:measurement_id>/latest")
@blueprint.response(200, LatestValues)
@blueprint.alt_response(304, description="nothing has changed since the ETag in If-None-Match")
@blueprint.alt_response(404, description="there is no such measurement")
def latest(measurement_id: int) -> Response:
    """Show the latest value of every component that measures this, newest first.

    Of all devices that you may see and that are not for tests; where they are, as exactly as their owners let everybody
    know. With `Accept: application/geo+json` the answer is a GeoJSON FeatureCollection (RFC 7946), with a null geometry
    for what has no place.
    """
    with source().pool.connection() as conn:
        found = queries.measurements_by_ids(conn, ids=[measurement_id])
        if not found:
            not_found("measurement", measurement_id)
        rows = queries.latest_of_measurement(conn, measurement_id=measurement_id, **viewer())
    kind = request.accept_mimetypes.best_match([_JSON, _GEOJSON], _JSON)
    body = to_json(feature_collection_json(rows) if kind == _GEOJSON else latest_values_json(found[0], rows))
    etag = blake2b(body, digest_size=12).hexdigest()
    answer = Response(status=304) if request.if_none_match.contains_weak(etag) else Response(body, mimetype=kind)
    answer.set_etag(etag, weak=True)
    answer.headers["Cache-Control"] = "private, no-cache" if current_user() else "public, no-cache"
    answer.vary.update(["Accept", "Authorization"])
    return answer
