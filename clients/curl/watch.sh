#!/usr/bin/env bash
# Who is where, now: watch.sh [URL]. The token comes from TAPLINE_TOKEN.
set -euo pipefail
url=${1:-http://127.0.0.1:8080}
curl -sS --fail-with-body "$url/graphql" -H 'content-type: application/json' \
  ${TAPLINE_TOKEN:+-H "authorization: Bearer $TAPLINE_TOKEN"} \
  -d '{"query":"{ server { version } cycle { cycle people presence { state reason } rooms { name people } } }"}'
echo
