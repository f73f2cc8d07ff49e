#!/usr/bin/env bash
# Makes .venv with what the Python tests need.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "$1" >&2
  exit 1
}

pip() {
  .venv/bin/python -m pip --disable-pip-version-check --quiet install --only-binary :all: "$@"
}

python3 -m venv --clear .venv || fail "a Python environment could not be made in .venv"
pip -r tests/sdk/requirements.txt || fail "the OpenAI SDK could not be installed: is PyPI reachable?"
pip -r tests/sdk/requirements-llama.txt ||
  echo "llama.cpp's server is not prebuilt for this machine: its tests will be skipped" >&2
touch .venv/ready
