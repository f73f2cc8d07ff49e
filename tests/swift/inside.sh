#!/usr/bin/env bash
# Compiles ProxyManager.swift and the test programs with the swiftc on the PATH, and runs the tests.
# The first argument is a folder with integrations/swift and tests/swift, the second one is for what is built;
# the third, if any, chooses tests by a part of their name. LLM_PROXY and SIMULATED_UPSTREAM name the programs.
set -euo pipefail
source=$1 built=$2 chosen=${3:-}
manager=$source/integrations/swift/ProxyManager.swift
example=$source/integrations/swift/Example/AppDelegate.swift
tests=$source/tests/swift
mkdir -p "$built"
cd "$built"

strict() {
  local language=$1
  shift
  swiftc -swift-version "$language" -strict-concurrency=complete -warnings-as-errors "$@"
}

swiftc --version 2>/dev/null | head -1

# AppKit where it is, else its stand-in.
cocoa=()
if [ "$(uname)" != Darwin ]; then
  swiftc -swift-version 6 -emit-module -emit-library -static -module-name Cocoa -parse-as-library \
    "$tests/Cocoa.swift" -o libCocoa.a
  cocoa=(-I . -L . -lCocoa)
fi

# The manager without a warning in both language modes, and as part of its users.
strict 5 -typecheck "$manager"
strict 6 -typecheck "$manager"
strict 6 -parse-as-library "$manager" "$example" "${cocoa[@]}" -o Example
strict 6 -parse-as-library "$manager" "$tests/Victim.swift" -o victim
for language in 5 6; do
  swiftc -swift-version "$language" -parse-as-library "$manager" "$tests/OldApp.swift" "${cocoa[@]}" \
    -o "old-app-$language"
done
swiftc -swift-version 5 -warnings-as-errors -module-name Tests \
  "$manager" "$tests/Stage.swift" "$tests/main.swift" -o tests

export VICTIM=$built/victim EXAMPLE=$built/Example OLD_APP_5=$built/old-app-5 OLD_APP_6=$built/old-app-6
exec ./tests "$chosen"
