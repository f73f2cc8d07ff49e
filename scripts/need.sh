#!/usr/bin/env bash
# Sees to it that the named tools are there: on Debian and Ubuntu it installs what is missing, if
# it may; elsewhere it says what to install.
set -euo pipefail

has() {
  case $1 in
    python3) python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' ;;
    node) node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' && npm --version ;;
    chromium) test -x "${CHROMIUM:-/usr/bin/chromium}" ;;
    rustfmt) "${CARGO:-cargo}" fmt --version ;;
    clippy) "${CARGO:-cargo}" clippy --version ;;
    *) command -v "$1" ;;
  esac >/dev/null 2>&1
}

debian_packages() {
  case $1 in
    cc) echo build-essential ;;
    python3) echo python3 python3-venv ;;
    node) echo nodejs npm ;;
    wrk | haproxy | chromium | shellcheck | valgrind) echo "$1" ;;
    promtool) echo prometheus ;;
  esac
}

# The word before a command that needs to be root, or a failure.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    echo env
  elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
    echo sudo
  else
    return 1
  fi
}

install() {
  local packages root
  case $1 in
    rustfmt | clippy) command -v rustup >/dev/null && rustup component add "$1" ;;
    *)
      packages=$(debian_packages "$1")
      [ -n "$packages" ] && command -v apt-get >/dev/null && root=$(as_root) || return 1
      echo "installing $packages"
      export DEBIAN_FRONTEND=noninteractive
      # shellcheck disable=SC2086 # several packages are several words
      $root apt-get install -qq -y --no-install-recommends $packages ||
        { $root apt-get update -qq && $root apt-get install -qq -y --no-install-recommends $packages; }
      ;;
  esac >&2
}

advice() {
  case $1 in
    cargo) echo "Rust: https://rustup.rs, or 'brew install rustup' on macOS" ;;
    rustfmt | clippy) echo "$1: 'rustup component add $1'" ;;
    cc) echo "a C compiler: 'apt-get install build-essential', or 'xcode-select --install' on macOS" ;;
    python3) echo "Python 3.11 or newer with venv: 'apt-get install python3 python3-venv', or 'brew install python' on macOS" ;;
    node) echo "Node 18 or newer with npm: 'apt-get install nodejs npm', or 'brew install node' on macOS" ;;
    promtool) echo "promtool: 'apt-get install prometheus', or 'brew install prometheus' on macOS" ;;
    *) echo "$1: 'apt-get install $1', or 'brew install $1' on macOS" ;;
  esac
}

missing=0
for tool in "$@"; do
  if ! has "$tool" && ! { install "$tool" && has "$tool"; }; then
    echo "missing: $(advice "$tool")" >&2
    missing=1
  fi
done
exit "$missing"
