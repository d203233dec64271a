#!/usr/bin/env bash
# setup-test-services.sh PYTHON: the servers that tests start, installed where they are missing
# and where we may (root, or sudo without a password). Kafka, Kafka Connect and a FHIR server are fetched
# into the user's cache, and so are the Go modules of the independent judges of the audit log, so that no
# test downloads.
# Node runs a certified OpenID provider and the verifier for browsers; Chromium shows the pages.
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

# A Go of 1.24 or newer, wherever it is.
find_go() {
  local one version
  for one in go /usr/local/go/bin/go /usr/lib/go-1.2[4-9]/bin/go; do
    version=$(GOTOOLCHAIN=local "$one" env GOVERSION 2>/dev/null) || continue
    case ${version#go} in
      1.2[4-9] | 1.2[4-9].* | 1.[3-9][0-9]* | [2-9].*) go=$one; return ;;
    esac
  done
  return 1
}

if ! find_go; then
  echo "Go 1.24 or newer is not installed; installing it"
  if command -v apt-get >/dev/null && as_root true 2>/dev/null; then
    as_root apt-get update -qq
    for package in golang-1.26-go golang-1.25-go golang-1.24-go golang-go; do
      DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -qq --no-install-recommends \
        "$package" >/dev/null 2>&1 && find_go && break
    done
  fi
  if ! find_go; then
    echo "The tests need Go 1.24 or newer to judge the audit log by other programs than ours, and" >&2
    echo "this machine's packages have none. Install it from https://go.dev/dl/ into /usr/local/go," >&2
    echo "or your distribution's package golang. Then try again." >&2
    exit 1
  fi
fi
(cd "$(dirname "$0")/../tests/tlog/go" &&
  GOTOOLCHAIN=local GOFLAGS=-mod=readonly CGO_ENABLED=0 "$go" mod download &&
  GOTOOLCHAIN=local GOFLAGS=-mod=readonly CGO_ENABLED=0 "$go" build -trimpath -o /dev/null ./...)

# need PROGRAM PACKAGE WHAT FOR: a program of the distribution, installed where we may.
need() {
  if command -v "$1" >/dev/null; then return; fi
  echo "$1 is not installed; installing it"
  if command -v apt-get >/dev/null && as_root true 2>/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    as_root apt-get update -qq
    as_root apt-get install -y -qq --no-install-recommends "$2" >/dev/null || true
  fi
  if ! command -v "$1" >/dev/null; then
    echo "The tests need $1 ($3) and cannot install it here." >&2
    echo "Debian, Ubuntu: sudo apt-get install $2. Then try again." >&2
    exit 1
  fi
}

if [ ! -x /usr/sbin/sshd ] && ! command -v sshd >/dev/null; then
  # Its package starts a server on installation unless it is told not to: the tests start their own.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ] && as_root true 2>/dev/null; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null && as_root chmod +x "$policy"
    trap 'as_root rm -f "$policy"' EXIT
  fi
  PATH="$PATH:/usr/sbin" need sshd openssh-server 'a server for files, for the connector over SFTP'
fi
need age age 'the program that opens encrypted files, to check ours'
need gpg gnupg 'opens files encrypted with OpenPGP, to check ours'

# Debian starts a server on installation; the tests start their own, so that one is not let.
if ! PATH="$PATH:/usr/sbin" command -v mariadbd >/dev/null; then
  echo "mariadbd is not installed; installing it"
  if command -v apt-get >/dev/null && as_root true 2>/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    as_root apt-get update -qq
    as_root env RUNLEVEL=1 apt-get install -y -qq --no-install-recommends mariadb-server >/dev/null || true
  fi
  if ! PATH="$PATH:/usr/sbin" command -v mariadbd >/dev/null; then
    echo "The tests need a MariaDB server (mariadbd, mariadb-install-db) and cannot install it here." >&2
    echo "Debian, Ubuntu: sudo apt-get install mariadb-server. Then try again." >&2
    exit 1
  fi
fi
if [ -z "${CHROMIUM:-}" ]; then need chromium chromium 'a browser for the tests of pages'; fi
need node nodejs 'version 20 or later, for the verifier that runs in browsers'
if ! node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20 ? 1 : 0)'; then
  echo "The tests need Node.js 20 or later; this is $(node --version). Install a newer one" >&2
  echo "(https://nodejs.org) before it on PATH. Then try again." >&2
  exit 1
fi
need npm npm 'for a certified OpenID provider to sign in at'

oidc=$(dirname "$0")/../tests/console/oidc
if [ ! "$oidc/node_modules/.package-lock.json" -nt "$oidc/package-lock.json" ]; then
  (cd "$oidc" && npm ci --no-audit --no-fund --loglevel=error >/dev/null)
  touch "$oidc/node_modules/.package-lock.json"
fi

# A compiler as well: the few lines that start the FHIR server are compiled each time.
need javac default-jdk-headless 'Java 17 or newer with its compiler, for a real FHIR server'
need mvn maven 'fetches the jars of the FHIR server'
"$python" -W ignore "$(dirname "$0")/fhir-server/fhir_server.py" --fetch

"$python" -W ignore - "$(dirname "$0")" <<'END'
import sys
from pathlib import Path
from hub.topics import broker, jars

try:
    broker.java()
    jars.fetch()
    connect = jars.read(Path(sys.argv[1], "kafka", "connect-jars.txt").read_text("ascii"))
    jars.fetch(jars.cache_folder().parents[1] / "kafka-connect", connect)
except (broker.BrokerError, jars.JarsError) as error:
    sys.exit(f"The tests need a real Kafka: {error}")
END
