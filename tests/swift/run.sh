#!/usr/bin/env bash
# Tests integrations/swift with a real Swift compiler: the one on the PATH, or else Debian trixie's, unpacked
# into a folder (SWIFT_ROOT, by default target/swift-root; 2.6 GB, two minutes, once). The latter needs root.
# An argument chooses tests by a part of their name.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
[[ $target = /* ]] || target=$PWD/$target
root=${SWIFT_ROOT:-$target/swift-root}
export LLM_PROXY=${LLM_PROXY:-$target/release/llm-proxy}
export SIMULATED_UPSTREAM=${SIMULATED_UPSTREAM:-$target/release/examples/upstream}
packages=swiftlang,libc6-dev,libstdc++-14-dev,procps

skip() {
  echo "Swift tests skipped: $1"
  exit 0
}

for program in "$LLM_PROXY" "$SIMULATED_UPSTREAM"; do
  [ -x "$program" ] || { echo "$program is missing: run 'make build' first" >&2; exit 1; }
done

if command -v swiftc >/dev/null; then
  exec bash tests/swift/inside.sh "$PWD" "$target/swift-tests" "${1:-}"
fi

mirror() {
  local site
  site=$(apt-get indextargets --format '$(SITE) $(ORIGIN) $(LABEL)' 2>/dev/null |
    awk '$2 == "Debian" && $3 == "Debian" {print $1; exit}')
  echo "${SWIFT_MIRROR:-${site:-http://deb.debian.org/debian}}"
}

# Made under another name first, so that an interrupted one is not taken for a whole one.
make_root() {
  command -v debootstrap >/dev/null ||
    apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends debootstrap >/dev/null 2>&1 ||
    skip "debootstrap is missing and cannot be installed"
  echo "unpacking Debian's swiftlang into $root"
  rm -rf "$root.part"
  mkdir -p "$root.part"
  if ! debootstrap --variant=minbase --include="$packages" trixie "$root.part" "$(mirror)" >"$root.log" 2>&1; then
    tail -5 "$root.log" >&2
    skip "Debian's swiftlang cannot be had here; the whole story is in $root.log"
  fi
  rm -rf "$root.part"/var/cache/apt/archives/*.deb "$root.part"/var/lib/apt/lists/*
  mv "$root.part" "$root"
}

[ "$(uname)" = Linux ] || skip "there is no swiftc"
[ "$(id -u)" = 0 ] || skip "there is no swiftc, and unpacking one needs root"
[ "$(dpkg --print-architecture 2>/dev/null)" ] || skip "there is no swiftc, and this is no Debian"
unshare --mount --net --pid --fork ip link set lo up 2>/dev/null ||
  skip "this machine allows no namespaces, or has no ip (iproute2)"
[ -d "$root" ] || make_root

work=$root/work
rm -rf "$work"
mkdir -p "$work"/source/{integrations,tests} "$work/bin"
cp -R integrations/swift "$work/source/integrations/"
cp -R tests/swift "$work/source/tests/"
cp "$LLM_PROXY" "$work/bin/llm-proxy"
cp "$SIMULATED_UPSTREAM" "$work/bin/upstream"

# A network, a list of processes and mounts of their own: port 8000 is free, and nothing outlives the tests.
exec unshare --mount --propagation private --net --pid --fork --kill-child bash -euc '
  ip link set lo up
  mount -t proc proc "$1/proc"
  mount --rbind /dev "$1/dev"
  chroot "$1" /usr/bin/env -i TERM="${TERM:-dumb}" HOME=/root LANG=C.UTF-8 \
    PATH=/usr/libexec/swift/bin:/usr/bin:/bin \
    LD_LIBRARY_PATH=/usr/libexec/swift/lib/swift/linux:/usr/libexec/swift/lib \
    LLM_PROXY=/work/bin/llm-proxy SIMULATED_UPSTREAM=/work/bin/upstream \
    bash /work/source/tests/swift/inside.sh /work/source /work/built "$2"
' bash "$root" "${1:-}"
