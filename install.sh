#!/bin/sh
# Installs llm-proxy for the user who runs it. Needs no root, asks nothing, and may be run again.
set -eu

usage() {
  cat <<'TEXT'
usage: ./install.sh [--binary FILE] [--prefix DIR] [--service]
       ./install.sh --uninstall [--purge] [--prefix DIR]

  --binary FILE  install this binary instead of building one
                 (also LLM_PROXY_BINARY; a llm-proxy beside this script is taken by itself)
  --prefix DIR   where to: DIR/bin, DIR/share (also PREFIX; by default ~/.local)
  --service      start it now and at every login (systemd --user, launchd)
  --uninstall    stop it and take away what was installed; configuration and state stay
  --purge        with --uninstall: take those away too, with the keys in .env
TEXT
}

say() { printf '%s\n' "$*"; }

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

here=$(cd "$(dirname "$0")" && pwd -P)
binary=${LLM_PROXY_BINARY:-}
prefix=${PREFIX:-}
service=no
uninstall=no
purge=no
while [ $# -gt 0 ]; do
  case $1 in
    --binary | --prefix)
      [ $# -gt 1 ] || fail "$1 needs a value"
      if [ "$1" = --binary ]; then binary=$2; else prefix=$2; fi
      shift
      ;;
    --service) service=yes ;;
    --uninstall) uninstall=yes ;;
    --purge) purge=yes ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      usage >&2
      exit 2
      ;;
  esac
  shift
done
[ "$purge" = no ] || [ "$uninstall" = yes ] || fail "--purge goes with --uninstall"
[ -n "${HOME:-}" ] || fail "HOME is not set"
prefix=${prefix:-$HOME/.local}
case $prefix in
  /*) ;;
  *) prefix=$PWD/$prefix ;;
esac

# The folder that a variable names, if it is absolute; else the usual one.
folder() {
  case $1 in
    /*) printf '%s' "$1" ;;
    *) printf '%s' "$2" ;;
  esac
}

name=llm-proxy
label=local.llm-proxy
system=$(uname -s)
xdg_config=$(folder "${XDG_CONFIG_HOME:-}" "$HOME/.config")
xdg_state=$(folder "${XDG_STATE_HOME:-}" "$HOME/.local/state")
if [ "$system" = Darwin ]; then
  config=$HOME/Library/Application\ Support/$name
  unit=$HOME/Library/LaunchAgents/$label.plist
  log=$HOME/Library/Logs/$name.log
  # A file that is there already counts, as it does for the program.
  if [ ! -e "$config/config.yaml" ] && [ -e "$xdg_config/$name/config.yaml" ]; then
    config=$xdg_config/$name
  fi
else
  config=$xdg_config/$name
  unit=$xdg_config/systemd/user/$name.service
  log=
fi
program=$prefix/bin/$name
man=$prefix/share/man/man1
bash_completion=$prefix/share/bash-completion/completions/$name
zsh_completion=$prefix/share/zsh/site-functions/_$name
fish_completion=$prefix/share/fish/vendor_completions.d/$name.fish

# Finds the binary to install, or builds it.
find_binary() {
  if [ -z "$binary" ] && [ -f "$here/$name" ]; then
    binary=$here/$name
  fi
  if [ -z "$binary" ]; then
    build
  fi
  [ -f "$binary" ] || fail "$binary: there is no such file"
  [ -x "$binary" ] || fail "$binary is not executable: chmod +x it first"
  "$binary" --version >/dev/null 2>&1 \
    || fail "$binary does not run on this machine ($system $(uname -m))"
}

build() {
  [ -f "$here/Cargo.toml" ] || fail "nothing to build here; name a binary with --binary"
  cargo=${CARGO:-cargo}
  command -v "$cargo" >/dev/null 2>&1 \
    || fail "no cargo to build with: name a binary with --binary, or install Rust 1.95 or newer"
  say "building $name, which takes some minutes the first time"
  target=${CARGO_TARGET_DIR:-$here/target}
  (cd "$here" && CARGO_TARGET_DIR=$target "$cargo" build --quiet --release --locked -p "$name" --bin "$name") \
    || fail "the build failed"
  binary=$target/release/$name
}

# Puts a file in its place in one step, so that a running program keeps the old one.
put() {
  mkdir -p "$(dirname "$2")"
  cp "$1" "$2.new"
  chmod "$3" "$2.new"
  mv -f "$2.new" "$2"
}

install_files() {
  put "$binary" "$program" 755
  if [ "$system" = Darwin ] && command -v xattr >/dev/null 2>&1; then
    # What a browser downloaded would not be started.
    xattr -d com.apple.quarantine "$program" 2>/dev/null || :
  fi
  mkdir -p "$man"
  "$program" man "$man"
  completion bash "$bash_completion"
  completion zsh "$zsh_completion"
  completion fish "$fish_completion"
  say "installed $program ($("$program" --version))"
}

completion() {
  mkdir -p "$(dirname "$2")"
  "$program" completions "$1" >"$2"
}

make_config() {
  if [ -e "$config/config.yaml" ]; then
    say "kept $config/config.yaml"
    return 0
  fi
  mkdir -p "$config"
  chmod 700 "$config"
  if [ "$service" = no ]; then
    "$program" init "$config"
    return 0
  fi
  # Its next step would be to start by hand.
  told=$("$program" init "$config")
  say "$(printf '%s\n' "$told" | sed '/^next: /,$d')"
}

# A text as sed takes it behind s|...|.
for_sed() { printf '%s' "$1" | sed 's/[\\&|]/\\&/g'; }

for_unit() { printf '%s' "$1" | sed -e 's/[\\"]/\\&/g' -e 's/%/%%/g' -e 's/\$/$$/g'; }

# In the path of a program, unlike in what follows it, systemd expands no dollar sign.
for_unit_program() { printf '%s' "$1" | sed 's/%/%%/g'; }

# Whether a service can be made of it, before anything is installed.
check_service() {
  [ "$service" = yes ] && [ "$system" != Darwin ] || return 0
  case $program in
    *[\"\'\\]*) fail "systemd starts no program with a quote or backslash in its path: $program; name another place with --prefix" ;;
  esac
}

for_xml() { printf '%s' "$1" | sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e 's/>/\&gt;/g'; }

# Fills a template: $1 the template, $2 how the program's path is escaped, $3 how the others are.
fill() {
  [ -f "$1" ] || fail "$1 is missing: --service needs it"
  mkdir -p "$(dirname "$unit")"
  sed -e "s|@BIN@|$(for_sed "$("$2" "$program")")|" \
    -e "s|@CONFIG@|$(for_sed "$("$3" "$config/config.yaml")")|" \
    -e "s|@FOLDER@|$(for_sed "$("$3" "$config")")|" \
    -e "s|@LOG@|$(for_sed "$("$3" "$log")")|" "$1" >"$unit.new"
  mv -f "$unit.new" "$unit"
}

start_service() {
  if [ "$system" = Darwin ]; then
    fill "$here/packaging/launchd/$name.plist" for_xml for_xml
    mkdir -p "$(dirname "$log")"
    launchctl bootout "gui/$(id -u)/$label" 2>/dev/null || :
    launchctl bootstrap "gui/$(id -u)" "$unit" || fail "launchd does not take $unit"
    say "started as $label; its log is $log"
  else
    systemctl --user show-environment >/dev/null 2>&1 \
      || fail "no systemd --user here; start it by hand: $program"
    fill "$here/packaging/systemd/$name.service" for_unit_program for_unit
    systemctl --user daemon-reload
    systemctl --user enable --quiet "$name.service"
    systemctl --user restart "$name.service" || fail "it did not start: systemctl --user status $name"
    say "started as $name.service; its log: journalctl --user -u $name"
    say "to keep it running when you are logged out: loginctl enable-linger"
  fi
}

stop_service() {
  [ -e "$unit" ] || return 0
  if [ "$system" = Darwin ]; then
    launchctl bootout "gui/$(id -u)/$label" 2>/dev/null || :
  elif command -v systemctl >/dev/null 2>&1; then
    systemctl --user disable --now --quiet "$name.service" 2>/dev/null || :
  fi
  rm -f "$unit"
  if [ "$system" != Darwin ] && command -v systemctl >/dev/null 2>&1; then
    systemctl --user daemon-reload 2>/dev/null || :
  fi
  say "removed $unit"
}

take_away() {
  stop_service
  for file in "$program" "$bash_completion" "$zsh_completion" "$fish_completion" \
    "$man/$name.1" "$man/$name"-*.1; do
    if [ -e "$file" ]; then
      rm -f "$file"
      say "removed $file"
    fi
  done
  for kept in "$config" "$xdg_state/$name" "$log"; do
    if [ -z "$kept" ] || [ ! -e "$kept" ]; then
      continue
    elif [ "$purge" = yes ]; then
      rm -rf "$kept"
      say "removed $kept"
    else
      say "kept $kept (--purge removes it)"
    fi
  done
}

if [ "$uninstall" = yes ]; then
  take_away
  exit 0
fi
check_service
find_binary
install_files
make_config
if [ "$service" = yes ]; then
  start_service
  [ -e "$config/.env" ] || say "next: put a key into $config/.env; it takes effect at once; then: $name status"
fi
case :$PATH: in
  *":$prefix/bin:"*) ;;
  *) say "$prefix/bin is not in your PATH; add it, or call $program" ;;
esac
