# shellcheck shell=bash disable=SC2034
# What the tests of the packages share. Sourced.
passed=0
failed=0
not_run=()

ok() {
  passed=$((passed + 1))
  echo "ok: $1"
}

bad() {
  failed=$((failed + 1))
  echo "FAILED: $1"
  if [ $# -gt 1 ]; then printf '    %s\n' "${2//$'\n'/$'\n    '}"; fi
}

# check NAME COMMAND...: the command must succeed.
check() {
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then ok "$name"; else bad "$name" "$output"; fi
}

# check_not NAME COMMAND...: the command must fail.
check_not() {
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then bad "$name" "$output"; else ok "$name"; fi
}

# not_here WHAT: what could not be checked on this machine.
not_here() {
  not_run+=("$1")
  echo "not run here: $1"
}
