-- When the newest reading came, by our clock: beside last_reading_at it shows how far the device's clock is off.
ALTER TABLE devices ADD COLUMN last_received_at timestamptz;
