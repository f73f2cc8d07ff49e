#!/usr/bin/env bash
# Everything that is packaged: checked as far as this machine can, and what it cannot is said.
# usage: run.sh [BINARY]   (by default target/release/llm-proxy)
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR
. ./lib.sh
root=$(cd ../.. && pwd)
binary=$(realpath "${1:-${CARGO_TARGET_DIR:-$root/target}/release/llm-proxy}")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
have() { command -v "$1" >/dev/null 2>&1; }
yaml() { python3 -c 'import sys, yaml; yaml.safe_load(open(sys.argv[1]))' "$1"; }

echo "== install.sh"
check "install.sh is POSIX sh" sh -n "$root/install.sh"
if have dash; then check "dash reads it" dash -n "$root/install.sh"; fi
if have shellcheck; then
  check "shellcheck" shellcheck -x "$root/install.sh" "$root"/packaging/*.sh ./install.sh ./run.sh
else
  not_here "shellcheck (not installed)"
fi
if told=$(./install.sh "$binary" 2>&1); then ok "${told##*$'\n'}"; else bad "tests of install.sh" "$told"; fi

echo "== systemd"
mkdir "$place/run"
sed -e "s|@BIN@|$binary|" -e "s|@CONFIG@|$place/config.yaml|" \
  "$root/packaging/systemd/llm-proxy.service" >"$place/llm-proxy.service"
check "no placeholder is left" sh -c "! grep -q '@[A-Z]*@' '$place/llm-proxy.service'"
if have systemd-analyze; then
  verify() {
    local told
    told=$(XDG_RUNTIME_DIR=$place/run systemd-analyze --user verify --man=no "$place/llm-proxy.service" 2>&1)
    [ -z "$told" ] || { echo "$told"; return 1; }
  }
  check "systemd-analyze --user verify" verify
else
  not_here "systemd-analyze verify (not installed)"
fi
if have systemctl && systemctl --user show-environment >/dev/null 2>&1; then
  not_here "the unit started by the user's own systemd (left alone)"
else
  not_here "the unit started by systemd --user (no user manager here)"
fi

echo "== launchd"
check "the agent is a property list" python3 -c \
  'import plistlib, sys; assert plistlib.load(open(sys.argv[1], "rb"))["Label"] == "local.llm-proxy"' \
  "$root/packaging/launchd/llm-proxy.plist"
if have launchctl; then check "plutil" plutil -lint "$root/packaging/launchd/llm-proxy.plist"; else not_here "launchctl bootstrap (no macOS)"; fi

echo "== container"
if python3 -c 'import yaml' 2>/dev/null; then
  check "compose.yaml is YAML" yaml "$root/packaging/docker/compose.yaml"
  check "release.yml is YAML" yaml "$root/.github/workflows/release.yml"
else
  not_here "compose.yaml and release.yml (no YAML parser for python3)"
fi
if have docker && docker compose version >/dev/null 2>&1; then
  cp -R "$root/packaging/docker" "$place/docker" && touch "$place/docker/.env"
  check "docker compose config" docker compose -f "$place/docker/compose.yaml" config -q
else
  not_here "docker compose config (not installed)"
fi
if have docker && docker info >/dev/null 2>&1; then
  check "docker build" docker build -q -f "$root/packaging/docker/Dockerfile" "$root"
else
  not_here "docker build (no daemon)"
fi
# The command of the image and its health check, by hand, in a folder as the image has them.
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
port=$(free_port)
# shellcheck disable=SC2016  # the proxy's variable, not the shell's
printf 'server:\n  api_keys: ["${LLM_PROXY_KEY}"]\nproviders:\n  - name: here\n    base_url: http://127.0.0.1:1/v1\n' \
  >"$place/config.yaml"
alone=(env -i "HOME=$place" LLM_PROXY_KEY=a-key-for-tests)
"${alone[@]}" "$binary" serve --config "$place/config.yaml" --host 0.0.0.0 --port "$port" >"$place/log" 2>&1 &
proxy=$!
health() { "${alone[@]}" "$binary" status --config "$place/config.yaml" --port "$port"; }
for _ in $(seq 100); do
  if grep -q '^listening on' "$place/log"; then break; fi
  sleep 0.1
done
check "the image's command serves on 0.0.0.0" grep -q '^listening on' "$place/log"
check "the image's health check says so" health
kill "$proxy"
wait "$proxy" || :
check_not "the health check fails without it" health
printf 'providers:\n  - name: here\n    base_url: http://127.0.0.1:1/v1\n' >"$place/open.yaml"
check_not "0.0.0.0 without server.api_keys is refused" \
  timeout 10 "${alone[@]}" "$binary" serve --config "$place/open.yaml" --host 0.0.0.0 --port "$port"
if have ldd && ldd "$binary" 2>&1 | grep -q '=>'; then
  not_here "the binary in an empty root (it is not static; see packaging/static.sh)"
elif have chroot && [ "$(id -u)" = 0 ]; then
  mkdir -p "$place/empty/bin" && cp "$binary" "$place/empty/bin/"
  check "the binary runs in an empty root" chroot "$place/empty" /bin/llm-proxy demo --once --port 0
fi

echo "== homebrew, completions, manual"
if have ruby; then check "the formula is Ruby" ruby -c "$root/packaging/homebrew/llm-proxy.rb"; else not_here "ruby -c of the formula (not installed)"; fi
if have brew; then not_here "brew install (left alone)"; else not_here "brew audit and install (no Homebrew)"; fi
"$binary" completions bash >"$place/completion.bash"
check "bash reads its completions" bash -n "$place/completion.bash"
for shell in zsh fish; do
  "$binary" completions $shell >"$place/completion.$shell"
  if have $shell; then check "$shell reads its completions" $shell -n "$place/completion.$shell"; else not_here "completions of $shell (not installed)"; fi
done
mkdir "$place/man" && "$binary" man "$place/man"
if have mandoc; then check "mandoc reads the pages" mandoc -T lint -W error "$place"/man/*.1; elif have man; then check "man reads the page" man -l --warnings "$place/man/llm-proxy.1"; else not_here "the manual pages (neither mandoc nor man)"; fi

echo "== release"
mkdir "$place/source"
cp -R "$root"/{packaging,install.sh,README.md,LICENSE,CHANGELOG.md,Cargo.toml} "$place/source/"
check "the archive is made" "$place/source/packaging/archive.sh" "$binary" test
check "its checksum is right" env -C "$place/source/dist" sh -c 'sha256sum --check ./*.sha256'
mkdir "$place/unpacked" && tar -C "$place/unpacked" -xzf "$place"/source/dist/*.tar.gz
check "what is unpacked installs itself" env -i "HOME=$place/home" PATH=/usr/bin:/bin sh -c "mkdir -p '$place/home' && '$place'/unpacked/*/install.sh"
not_here "release.yml itself (needs GitHub's runners; macOS binaries and lipo with it)"

echo
for what in "${not_run[@]}"; do echo "not run here: $what"; done
echo "packages: $passed passed, $failed failed, ${#not_run[@]} skipped"
[ "$failed" = 0 ]
