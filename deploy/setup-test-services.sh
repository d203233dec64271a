#!/usr/bin/env bash
# setup-test-services.sh PYTHON: the servers that tests start, installed where they are missing
# and where we may (root, or sudo without a password). Kafka is fetched into the user's cache.
# Quick when everything is there. Nothing is started here, and nothing is left running.
set -euo pipefail
python=$1

have_postgres() { compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

if ! have_postgres; then
  echo "PostgreSQL is not installed; installing it"
  if command -v apt-get >/dev/null && as_root true 2>/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    as_root apt-get update -qq
    # First the part that decides whether a server is started on installation: it is not.
    as_root apt-get install -y -qq --no-install-recommends postgresql-common >/dev/null
    as_root mkdir -p /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' |
      as_root tee /etc/postgresql-common/createcluster.d/nrm-hub.conf >/dev/null
    as_root apt-get install -y -qq --no-install-recommends postgresql >/dev/null
  fi
  if ! have_postgres; then
    echo "The tests need a PostgreSQL server (its programs initdb and postgres) and cannot" >&2
    echo "install it here. Debian, Ubuntu: sudo apt-get install postgresql. Then try again." >&2
    exit 1
  fi
fi

"$python" -W ignore - <<'END'
import sys
from hub.topics import broker, jars

try:
    broker.java()
    jars.fetch()
except (broker.BrokerError, jars.JarsError) as error:
    sys.exit(f"The tests need a real Kafka: {error}")
END
