#!/usr/bin/env bash
# install.sh in a home of its own: install, again, with spaces, as a service, uninstall.
# usage: install.sh BINARY
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR
. ./lib.sh
root=$(cd ../.. && pwd)
binary=$(realpath "$1")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

# Runs install.sh in the home "$home" with only the usual tools, and the stand-ins of $stubs first.
home=
stubs=
script=$root/install.sh
in_home() {
  env -i HOME="$home" PATH="${stubs:+$stubs:}/usr/bin:/bin" "${vars[@]}" /bin/sh "$script" "$@"
}
vars=(LANG=C)

fresh() {
  home=$place/$1
  stubs=
  vars=(LANG=C)
  script=$root/install.sh
  mkdir -p "$home"
}

has() { [ -e "$home/$1" ]; }
lacks() { [ ! -e "$home/$1" ]; }
says() { grep -qF -- "$1" <<<"$told"; }

# A stand-in for a program, which writes down how it was called.
stub() {
  stubs=$home/stubs
  mkdir -p "$stubs"
  printf '#!/bin/sh\necho "%s $*" >>"%s/calls"\n%s\n' "$1" "$home" "${2:-}" >"$stubs/$1"
  chmod +x "$stubs/$1"
}

echo "-- install, again, uninstall"
fresh plain
told=$(in_home --binary "$binary") || bad "install" "$told"
for file in .local/bin/llm-proxy .local/share/man/man1/llm-proxy.1 \
  .local/share/bash-completion/completions/llm-proxy .local/share/zsh/site-functions/_llm-proxy \
  .local/share/fish/vendor_completions.d/llm-proxy.fish \
  .config/llm-proxy/config.yaml .config/llm-proxy/.env.example; do
  check "install makes $file" has "$file"
done
check "the next step is told" says "next: put a key into $home/.config/llm-proxy/.env"
check "a PATH without it is told" says "is not in your PATH"
check "the installed program runs" env -i HOME="$home" "$home/.local/bin/llm-proxy" schema
check "the folder of keys is the user's alone" [ "$(stat -c %a "$home/.config/llm-proxy")" = 700 ]
echo "providers: [groq] # mine" >"$home/.config/llm-proxy/config.yaml"
echo "GROQ_API_KEY=gsk_1" >"$home/.config/llm-proxy/.env"
told=$(in_home --binary "$binary") || bad "install again" "$told"
check "again: the configuration is kept" grep -q mine "$home/.config/llm-proxy/config.yaml"
check "again: it is told" says "kept $home/.config/llm-proxy/config.yaml"
told=$(in_home --uninstall) || bad "uninstall" "$told"
check "uninstall removes all that was installed" [ -z "$(find "$home/.local" -type f)" ]
check "uninstall keeps the configuration" has .config/llm-proxy/config.yaml
check "uninstall keeps the keys" has .config/llm-proxy/.env
check "uninstall twice is no error" in_home --uninstall
mkdir -p "$home/.local/state/llm-proxy"
told=$(in_home --uninstall --purge) || bad "purge" "$told"
check "purge removes the configuration" lacks .config/llm-proxy
check "purge removes the state" lacks .local/state/llm-proxy
check "purge leaves the rest" has .config

echo "-- paths with spaces and other signs"
# shellcheck disable=SC2016  # a dollar sign as it stands
fresh 'a home & more $x'
cp "$binary" "$home/my binary"
vars=(LANG=C "XDG_CONFIG_HOME=$home/my config" "PREFIX=$home/my prefix")
told=$(in_home --binary "$home/my binary") || bad "install" "$told"
check "PREFIX is obeyed" has "my prefix/bin/llm-proxy"
check "XDG_CONFIG_HOME is obeyed" has "my config/llm-proxy/config.yaml"
told=$(in_home --uninstall --purge) || bad "uninstall" "$told"
check "all of it goes" [ -z "$(find "$home/my prefix" "$home/my config" -type f)" ]
vars=(LANG=C XDG_CONFIG_HOME=relative)
told=$(cd "$home" && in_home --binary "$binary" --prefix there) || bad "install" "$told"
check "a relative prefix is meant from here" has there/bin/llm-proxy
check "a relative XDG_CONFIG_HOME is passed over" has .config/llm-proxy/config.yaml

echo "-- where the binary comes from"
fresh sources
check_not "a binary that is not there" in_home --binary "$home/none"
echo 'not a program' >"$home/bad"
chmod +x "$home/bad"
check_not "a binary that does not run" in_home --binary "$home/bad"
check "nothing is installed then" lacks .local/bin/llm-proxy
vars=(LANG=C CARGO=no-such-cargo)
told=$(in_home 2>&1) && bad "no cargo, no binary"
check "without cargo it says what to do" says "name a binary with --binary, or install Rust"
vars=(LANG=C "LLM_PROXY_BINARY=$binary")
check "LLM_PROXY_BINARY" in_home
mkdir -p "$home/release"
cp "$root/install.sh" "$home/release/"
cp "$binary" "$home/release/llm-proxy"
vars=(LANG=C)
script=$home/release/install.sh
check "the binary of an unpacked release" in_home
rm "$home/release/llm-proxy"
told=$(in_home 2>&1) && bad "nothing to build"
check "nothing to build is told" says "nothing to build here"
fresh cargo
stub cargo "mkdir -p \"\$CARGO_TARGET_DIR/release\" && cp '$binary' \"\$CARGO_TARGET_DIR/release/llm-proxy\""
vars=(LANG=C "CARGO_TARGET_DIR=$home/target")
check "cargo builds it" in_home
check "with the lock file" grep -q -- "--release --locked -p llm-proxy" "$home/calls"

echo "-- usage"
fresh usage
check_not "an unknown option" in_home --nonsense
check_not "an option without its value" in_home --binary
check_not "--purge alone" in_home --purge
check "--help" in_home --help
check "nothing was written" [ -z "$(ls -A "$home")" ]

echo "-- a systemd --user service"
fresh 'linux 100% home'
stub systemctl
told=$(in_home --binary "$binary" --service) || bad "--service" "$told"
unit=$home/.config/systemd/user/llm-proxy.service
check "the unit is there" has .config/systemd/user/llm-proxy.service
check "percent signs are escaped" grep -qF "ExecStart=\"${home//%/%%}/.local/bin/llm-proxy\" serve" "$unit"
check "it is started" grep -q "user restart llm-proxy.service" "$home/calls"
check "it is enabled" grep -q "user enable" "$home/calls"
check "the next step is a key" says "next: put a key into $home/.config/llm-proxy/.env; it takes effect at once"
check_not "nobody is told to start it by hand" says "start it"
told=$(in_home --uninstall) || bad "uninstall" "$told"
check "uninstall stops it" grep -q "user disable --now" "$home/calls"
check "uninstall removes the unit" lacks .config/systemd/user/llm-proxy.service
stub systemctl 'exit 1'
told=$(in_home --binary "$binary" --service 2>&1) && bad "no systemd"
check "without systemd it says how to start it" says "start it by hand"

for odd in "it's" 'a "b' 'back\slash'; do
  fresh "$odd"
  stub systemctl
  told=$(in_home --binary "$binary" --service 2>&1) && bad "a service of $odd"
  check "a program that systemd does not start is refused: $odd" says "name another place with --prefix"
  check "nothing is installed then: $odd" lacks .local
done
fresh cash
stub systemctl
vars=(LANG=C "PREFIX=$home/\$x" "XDG_CONFIG_HOME=$home/\$y")
check "a dollar sign in the path" in_home --binary "$binary" --service
unit=$home/\$y/systemd/user/llm-proxy.service
check "only the arguments double it" \
  grep -qF "ExecStart=\"$home/\$x/bin/llm-proxy\" serve --config \"$home/\$\$y/llm-proxy/" "$unit"
if command -v systemd-analyze >/dev/null; then
  check "systemd takes the unit" env XDG_RUNTIME_DIR="$place" systemd-analyze verify --user --man=no "$unit"
else
  not_here "systemd-analyze: the unit was not verified"
fi

echo "-- a launchd agent (with stand-ins for uname and launchctl)"
fresh 'mac & home'
stub uname 'echo Darwin'
stub launchctl
told=$(in_home --binary "$binary" --service) || bad "--service" "$told"
plist="$home/Library/LaunchAgents/local.llm-proxy.plist"
check "the agent is there" has Library/LaunchAgents/local.llm-proxy.plist
check "the configuration is in the platform's folder" has "Library/Application Support/llm-proxy/config.yaml"
check "it is loaded" grep -q "launchctl bootstrap gui/" "$home/calls"
check "its paths are right" python3 - "$plist" "$home" <<'PY'
import plistlib, sys
agent = plistlib.load(open(sys.argv[1], "rb"))
home = sys.argv[2]
folder = home + "/Library/Application Support/llm-proxy"
assert agent["ProgramArguments"] == [home + "/.local/bin/llm-proxy", "serve", "--config", folder + "/config.yaml"], agent
assert agent["WorkingDirectory"] == folder and agent["StandardOutPath"] == home + "/Library/Logs/llm-proxy.log", agent
PY
told=$(in_home --uninstall) || bad "uninstall" "$told"
check "uninstall unloads it" grep -q "launchctl bootout gui/" "$home/calls"
check "uninstall removes the agent" lacks Library/LaunchAgents/local.llm-proxy.plist
check "uninstall keeps the configuration" has "Library/Application Support/llm-proxy/config.yaml"

echo "install.sh: $passed passed, $failed failed"
[ "$failed" = 0 ]
