#!/usr/bin/env bash
# Gives the broker the certificate that Caddy has from Let's Encrypt. Let cron run it once a day.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=/dev/null
. ./.env
# Caddy keeps a folder of each authority that it has ever asked; the newest file is the one in use.
fetch() {
  docker compose exec -T caddy sh -c "cat \"\$(ls -t /data/caddy/certificates/*/$DOMAIN/$DOMAIN.$1 | head -n 1)\""
}

certificate=$(fetch crt) || { echo "Caddy has no certificate of $DOMAIN: docker compose logs caddy says why" >&2; exit 1; }
key=$(fetch key)
if [ "$certificate" != "$(cat secrets/tls/server.pem)" ]; then
  (umask 077 && echo "$certificate" >secrets/tls/server.pem.new && echo "$key" >secrets/tls/server.key.new)
  chmod 444 secrets/tls/*.new
  mv secrets/tls/server.pem.new secrets/tls/server.pem
  mv secrets/tls/server.key.new secrets/tls/server.key
  docker compose up --detach --force-recreate --no-deps broker # takes a second; devices come back by themselves
fi
