-- What another site deletes and moves is heard of here, too.

ALTER TABLE calibrations ENABLE ALWAYS TRIGGER ingest_version;
ALTER TABLE devices ENABLE ALWAYS TRIGGER ingest_version_of_kits;
