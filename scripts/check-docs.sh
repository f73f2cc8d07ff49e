#!/usr/bin/env bash
# Whether the pages say what is true: links, commands, options, paths and configurations.
# Takes the binary to ask, or LLM_PROXY, or the release binary.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/need.sh python3
exec python3 -B scripts/check_docs.py "${1:-${LLM_PROXY:-${CARGO_TARGET_DIR:-target}/release/llm-proxy}}"
