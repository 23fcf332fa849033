#!/usr/bin/env bash
# Backs the database up when it starts and every day at 03:00 UTC: on Sundays all of it, on other days what has changed
# since then. The database itself archives its log, so that it can be restored to any moment since the oldest backup.
set -uo pipefail
until pgbackrest --log-level-console=warn stanza-create; do sleep 5; done
while true; do
  type=diff # the first one is full all the same
  [ "$(date -u +%u)" = 7 ] && type=full
  if pgbackrest --log-level-console=info --type=$type backup; then
    sleep $((86400 - ($(date +%s) - 10800) % 86400))
  else
    echo "the backup failed; the next try is in an hour" >&2
    sleep 3600
  fi
done
