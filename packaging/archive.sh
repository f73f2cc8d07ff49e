#!/usr/bin/env bash
# Packs a built binary as a release: llm-proxy-VERSION-TARGET.tar.gz and its checksum, into ./dist.
# usage: packaging/archive.sh BINARY TARGET
set -euo pipefail
binary=$1 target=$2
cd "$(dirname "$0")/.."
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
name=llm-proxy-$version-$target
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/$name/packaging" dist
install -m 755 "$binary" "$folder/$name/llm-proxy"
install -m 755 install.sh "$folder/$name/"
cp README.md LICENSE CHANGELOG.md "$folder/$name/"
cp -R packaging/launchd packaging/systemd "$folder/$name/packaging/"
tar -C "$folder" -czf "dist/$name.tar.gz" "$name"
cd dist
if command -v sha256sum >/dev/null; then
  sha256sum "$name.tar.gz" >"$name.tar.gz.sha256"
else
  shasum -a 256 "$name.tar.gz" >"$name.tar.gz.sha256"
fi
echo "dist/$name.tar.gz"
