#!/usr/bin/env bash
# Every test there is, cheapest first; ends with the closing line of each runner.
set -euo pipefail
cd "$(dirname "$0")/.."
CARGO=${CARGO:-cargo}
target=${CARGO_TARGET_DIR:-target}
[[ $target = /* ]] || target=$PWD/$target
export LLM_PROXY=$target/release/llm-proxy SIMULATED_UPSTREAM=$target/release/examples/upstream
logs=$target/test-logs
rm -rf "$logs"
mkdir -p "$logs"

failed=()

# Shows what a step says and keeps it for the end. A failure does not keep the others from running.
step() {
  local name=$1 began=$SECONDS
  shift
  echo "== $name"
  if ! "$@" 2>&1 | tee "$logs/$name"; then
    failed+=("$name")
  fi
  echo "== $name took $((SECONDS - began)) s"
}

crates() {
  if "$CARGO" nextest --version >/dev/null 2>&1; then
    "$CARGO" nextest run --locked --workspace --cargo-quiet
  else
    "$CARGO" test --quiet --locked --workspace --lib --bins --tests
  fi
}

python_sdk() {
  .venv/bin/python -B -m pytest -q -p no:cacheprovider tests/sdk/python
}

node_sdk() {
  (cd tests/sdk/node && node --test --test-reporter=spec)
}

browser() {
  (cd tests/browser && node --test --test-reporter=spec)
}

metrics() {
  tests/metrics/run.sh "$LLM_PROXY"
}

# What only builds with the feature have.
traces() {
  "$CARGO" test --quiet --locked -p llm-proxy --features otlp --test otlp
}

# Instructions are counted, not seconds: the same on a busy machine.
instructions() {
  make --no-print-directory count
}

pages() {
  scripts/check-docs.sh
}

packages() {
  tests/packages/run.sh "$LLM_PROXY"
}

closing_lines() {
  sed -nE 's/^ *(Summary|test result)/crates:     \1/p' "$logs/crates"
  sed -n '$s/^/python SDK: /p' "$logs/python_sdk"
  local suite
  for suite in node_sdk browser; do
    sed -nE 's/^ℹ (tests|pass|fail|skipped) /\1 /p' "$logs/$suite" | paste -sd ' ' - | sed "s/^/$suite: /"
  done
  sed -n '$p' "$logs/packages"
}

step check scripts/check.sh
step crates crates
make --no-print-directory build
step python_sdk python_sdk
step node_sdk node_sdk
step browser browser
step pages pages
step packages packages
step metrics metrics
step instructions instructions
step traces traces
closing_lines
echo "took $SECONDS s"
if [ ${#failed[@]} -gt 0 ]; then
  echo "FAILED: ${failed[*]}"
  exit 1
fi
echo "all good"
