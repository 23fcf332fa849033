"""Write a batch to the database: all of it in one transaction, or none."""

from dataclasses import dataclass

from psycopg.types.json import Jsonb

from ingestor.batch import Batch
from sql import DictConnection, queries


@dataclass(frozen=True, slots=True)
class Ledger:
    """What became of a batch, in datapoints: received = stored + duplicate + quarantined."""

    received: int = 0
    stored: int = 0  # new, or changed the value of the same component and time
    duplicate: int = 0  # said what the database held already, or was said twice in the batch
    quarantined: int = 0  # a message that could not be read at all counts as one


def write_batch(conn: DictConnection, batch: Batch) -> Ledger:
    """Write the batch and return what became of it, once that is committed.

    Raises psycopg.OperationalError when the database is away, psycopg.Error when it refuses something in the batch.
    """
    stored = 0
    with conn.transaction():
        if batch.device_ids:
            queries.hold_rollup_horizon(conn)
            pairs = list(set(zip(batch.device_ids, batch.sensor_ids, strict=True)))
            queries.insert_missing_components(
                conn, device_ids=[pair[0] for pair in pairs], sensor_ids=[pair[1] for pair in pairs]
            )
            stored = queries.store_datapoints(
                conn,
                device_ids=batch.device_ids,
                sensor_ids=batch.sensor_ids,
                times=batch.times,
                raws=batch.raws,
                values=batch.raws,
            )
        if batch.quarantined:
            device_ids, hashes, topics, payloads, reasons, details = map(list, zip(*batch.quarantined, strict=True))
            queries.insert_quarantine(
                conn,
                device_ids=device_ids,
                token_hashes=hashes,
                topics=topics,
                payloads=payloads,
                reasons=[str(reason) for reason in reasons],
                details=details,
            )
        if batch.hardware_infos:
            infos = [Jsonb(info) for info in batch.hardware_infos.values()]
            queries.update_hardware_info(conn, device_ids=list(batch.hardware_infos), infos=infos)
        if batch.inventory:
            queries.insert_inventory(conn, reports=[report and Jsonb(report) for report in batch.inventory])
    received = len(batch.device_ids)
    quarantined = len(batch.quarantined)
    return Ledger(received + quarantined, stored, received - stored, quarantined)
