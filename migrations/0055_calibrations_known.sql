-- What ingestors remember of calibrations, and how they hear that it has changed.
--
-- They lock the row of the horizon with every batch, before they compute anything, and whoever adds a version or begins
-- a redo keeps them from it: so what the row says is true until they commit, and while the number stays they need not
-- ask what holds.

ALTER TABLE rollup_horizon
ADD COLUMN calibrations bigint NOT NULL DEFAULT 1, -- moves with every version that is added or changed
ADD COLUMN recalibrating boolean NOT NULL DEFAULT false; -- whether a redo may be running: writers mind its lock then

UPDATE rollup_horizon SET recalibrating = EXISTS (SELECT FROM recalibrations WHERE state = 'running');

CREATE FUNCTION move_calibrations() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE rollup_horizon SET calibrations = calibrations + 1;
    RETURN NULL;
END;
$$;

CREATE TRIGGER calibrations_known AFTER INSERT OR UPDATE ON calibrations
FOR EACH ROW EXECUTE FUNCTION move_calibrations();
ALTER TABLE calibrations ENABLE ALWAYS TRIGGER calibrations_known; -- those that come from another site too

-- What goes with its device or kit is forgotten with the next batch: to wait for writers here, which may wait for that
-- device, would be a deadlock.
CREATE TRIGGER ingest_version AFTER DELETE ON calibrations
FOR EACH STATEMENT EXECUTE FUNCTION move_ingest_version();
CREATE TRIGGER ingest_version_of_kits AFTER UPDATE OF kit_id ON devices
FOR EACH STATEMENT EXECUTE FUNCTION move_ingest_version();
