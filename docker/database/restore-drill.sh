#!/usr/bin/env bash
# Shows that the backups bring everything back: restores them, in a folder of its own, to a moment of just now, and counts.
#   docker compose exec backup restore-drill.sh [FOLDER]
# FOLDER (default: /var/lib/pgbackrest/drill) needs as much room as the database. Ends with 0 where all counts are equal.
# Reads PGBACKREST_* as pgbackrest does; psql finds the running server by PGHOST, PGPORT, PGUSER and PGDATABASE.
set -euo pipefail

counts="
SELECT 'datapoints ' || count(*) FROM datapoints
UNION ALL SELECT 'datapoints in days ' || coalesce(sum(n), 0) FROM datapoints_1d
UNION ALL SELECT 'newest value ' || coalesce(max(latest_time)::text, '-') FROM components
UNION ALL SELECT 'devices ' || count(*) FROM devices
UNION ALL SELECT 'device tokens ' || count(*) FROM device_tokens
UNION ALL SELECT 'users ' || count(*) FROM users
UNION ALL SELECT 'quarantine ' || count(*) FROM quarantine
ORDER BY 1"
folder=${1:-/var/lib/pgbackrest/drill}
point=drill-$(date +%s)-$$
programs=$(psql -qAtc "SELECT setting FROM pg_config WHERE name = 'BINDIR'")
version=$(psql -qAtc "SELECT current_setting('server_version_num')::integer / 10000")

mkdir -p "$folder"
clean_up() {
  [ -f "$folder/data/postmaster.pid" ] && "$programs/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null
  rm -rf "$folder/data" "$folder"/{before,after,seen}
}
trap clean_up EXIT

# All writers of datapoints hold the rollup horizon until they commit. Who has it alone for a moment sees just what a
# restore to that moment brings; the counting goes on with that sight after the others have gone on.
echo "marking the moment $point"
coproc holder { psql -qAt -v ON_ERROR_STOP=1; }
echo "BEGIN; SELECT 'held' FROM rollup_horizon FOR UPDATE;" >&"${holder[1]}"
read -r -t 60 -u "${holder[0]}" _
psql -qAt -v ON_ERROR_STOP=1 >"$folder/before" <<SQL &
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT 1 \g /dev/null
\! touch $folder/seen
$counts;
SQL
counting=$!
for _ in $(seq 600); do
  [ -e "$folder/seen" ] && break
  sleep 0.1
done
echo "SELECT pg_create_restore_point('$point') \g /dev/null" >&"${holder[1]}"
echo "COMMIT; SELECT pg_walfile_name(pg_switch_wal());" >&"${holder[1]}"
read -r -t 60 -u "${holder[0]}" segment
wait $counting

echo "waiting until the archive has $segment"
for _ in $(seq 600); do
  [ "$(psql -qAtc "SELECT last_archived_wal >= '$segment' FROM pg_stat_archiver")" = t ] && break
  sleep 0.1
done

echo "restoring to $folder/data"
mkdir -m 700 "$folder/data"
pgbackrest --pg1-path="$folder/data" --type=name --target="$point" --target-action=pause --archive-mode=off \
  --log-level-console=warn restore
# Paused at the moment: a standby that follows nobody, where no job of the database changes anything.
"$programs/pg_ctl" -D "$folder/data" -w -t 3600 -l "$folder/log" start -o \
  "-p 65432 -c listen_addresses='' -c unix_socket_directories='$folder' -c shared_buffers=128MB" >/dev/null
restored() { psql -qAt -h "$folder" -p 65432 -c "$1"; }
until [ "$(restored 'SELECT pg_get_wal_replay_pause_state()')" = paused ]; do sleep 0.2; done
restored "$counts" >"$folder/after"

echo "PostgreSQL $version, counted before and after:"
if diff --side-by-side --width=100 "$folder/before" "$folder/after"; then
  echo "equal: the backups bring everything back"
else
  echo "NOT EQUAL: what is left of $point is above, and the restored server's log in $folder/log" >&2
  exit 1
fi
