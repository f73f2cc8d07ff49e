#!/usr/bin/env bash
# Builds the static Linux binary (musl) for this machine's architecture; prints its path.
# Needs the Rust target (rustup target add) and musl-gcc (Debian: musl-tools).
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(uname -m)-unknown-linux-musl
command -v musl-gcc >/dev/null || { echo "error: no musl-gcc (Debian: musl-tools)" >&2; exit 1; }
# Only for C code: as the linker, musl-gcc makes a position-independent program that crashes at once,
# while Rust brings all that it needs to link.
export "CC_${target//-/_}=musl-gcc"
cargo build --quiet --release --locked -p llm-proxy --bin llm-proxy --target "$target"
binary=${CARGO_TARGET_DIR:-target}/$target/release/llm-proxy
if ldd "$binary" 2>&1 | grep -q '=>'; then
  echo "error: $binary is not static" >&2
  exit 1
fi
"$binary" --version >/dev/null || { echo "error: $binary does not run" >&2; exit 1; }
echo "$binary"
