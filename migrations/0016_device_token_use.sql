-- A token's last use is written every few minutes: leave room for it on the page, so that no index changes.
ALTER TABLE device_tokens SET (fillfactor = 70);
