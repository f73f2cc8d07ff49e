#!/usr/bin/env bash
# Formatting, lints, documentation, and the licences and advisories of dependencies.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/need.sh cargo cc rustfmt clippy
CARGO=${CARGO:-cargo}

"$CARGO" fmt --all --check
"$CARGO" clippy --quiet --locked --workspace --all-targets -- -D warnings
RUSTDOCFLAGS="-D warnings" "$CARGO" doc --quiet --locked --workspace --no-deps

deny() {
  "$CARGO" deny --offline --log-level error check "$@"
}
advisories=${CARGO_HOME:-$HOME/.cargo}/advisory-dbs
if ! "$CARGO" deny --version >/dev/null 2>&1; then
  echo "cargo deny: skipped, it is not installed ('cargo install cargo-deny')"
elif [ -d "$advisories" ]; then
  deny
else
  deny bans licenses sources
  echo "cargo deny: advisories skipped, they were never fetched ('cargo deny fetch')"
fi
echo "check: good"
