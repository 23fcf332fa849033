#!/usr/bin/env bash
# Builds the image and makes what docker/compose.yaml needs besides: secrets, certificates, the broker's files. Keeps
# what is there already.
#   docker/init.sh sensors.example.org     or, to try it on this machine: docker/init.sh localhost
# Later, as for a new release, the name is known.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
  echo "$*" >&2
  exit 1
}

DOMAIN=
[ ! -e docker/.env ] || . docker/.env # of the run before; WITH too
domain=${1:-$DOMAIN}
case $domain in
  "" | -*) fail "Name the host that people and devices reach: docker/init.sh sensors.example.org, or localhost to try it." ;;
  "${DOMAIN:-$domain}") ;;
  *) fail "docker/.env is of $DOMAIN. To change the name remove it, docker/secrets/mqtt_admin_url and docker/secrets/tls." ;;
esac
docker build --build-arg WITH="${WITH:-}" --file docker/Dockerfile --tag almanac:latest .
exec docker run --rm --network none --user "$(id -u):$(id -g)" --volume "$PWD:/checkout" --workdir /checkout \
  --entrypoint python3 almanac:latest -m scripts.production "$domain"
