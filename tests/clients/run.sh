#!/usr/bin/env bash
# Clients of others before the proxy: what docs/clients.md says of LangChain and llm.
# usage: run.sh [BINARY]   (by default target/release/llm-proxy; the simulated upstream is beside it)
set -euo pipefail
cd "$(dirname "$0")/../.."
scripts/need.sh python3
target=${CARGO_TARGET_DIR:-$PWD/target}
LLM_PROXY=$(realpath "${1:-${LLM_PROXY:-$target/release/llm-proxy}}")
SIMULATED_UPSTREAM=${SIMULATED_UPSTREAM:-$(dirname "$LLM_PROXY")/examples/upstream}
export LLM_PROXY SIMULATED_UPSTREAM
venv=$target/clients
if ! cmp -s tests/clients/requirements.txt "$venv/installed"; then
  python3 -m venv --clear "$venv"
  "$venv/bin/python" -m pip --disable-pip-version-check --quiet install --only-binary :all: -r tests/clients/requirements.txt
  cp tests/clients/requirements.txt "$venv/installed"
fi
exec "$venv/bin/python" -B tests/clients/clients.py
