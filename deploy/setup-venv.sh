#!/usr/bin/env bash
# setup-venv.sh PYTHON VENV LOCK: a virtual environment with exactly the packages of LOCK,
# each checked against its hash, and this project in it (editable, nothing else fetched).
set -euo pipefail
python=$1 venv=$2 lock=$3
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

if [ -z "$python" ]; then
  echo "NRM Hub needs Python 3.11 or newer, and none was found." >&2
  echo "Install it (Debian, Ubuntu: sudo apt-get install python3 python3-venv)," >&2
  echo "or say where it is: make PYTHON=/path/to/python3.11" >&2
  exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  echo "$python has no venv module (Debian and Ubuntu package it apart)." >&2
  echo "Install it: sudo apt-get install python3-venv   (or python$version-venv)" >&2
  exit 1
fi

if ! "$venv/bin/python" -c 'import pip' 2>/dev/null; then
  echo "Making $venv with $("$python" --version)"
  rm -rf "$venv"
  "$python" -m venv "$venv"
fi
echo "Installing the packages of $lock"
# uv, where the lock has it, installs in a fifth of pip's time; both hold every file to its hash.
one=$(mktemp)
trap 'rm -f "$one"' EXIT
awk '/^uv==/ { on = 1 } on { print } on && !/\\$/ { exit }' "$lock" >"$one"
if ! { [ -s "$one" ] &&
  "$venv/bin/python" -m pip install --quiet --require-hashes --no-deps -r "$one" &&
  "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --require-hashes \
    --compile-bytecode -r "$lock"; }; then
  "$venv/bin/python" -m pip install --quiet --require-hashes -r "$lock"
fi
"$venv/bin/python" -m pip install --quiet --no-deps --no-build-isolation --no-index \
  -e . -e deploy/nrm-verify
