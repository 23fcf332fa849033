#!/usr/bin/env bash
# Builds the image and makes what docker/compose.yaml needs besides: secrets, certificates, the broker's files. Keeps
# what is there already.
#   docker/init.sh sensors.example.org     or, to try it on this machine: docker/init.sh localhost
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ ! -e docker/.env ] || . docker/.env # WITH
docker build --build-arg WITH="${WITH:-}" --file docker/Dockerfile --tag almanac:latest .
exec docker run --rm --network none --user "$(id -u):$(id -g)" --volume "$PWD:/checkout" --workdir /checkout \
  --entrypoint python3 almanac:latest -m scripts.production "$@"
