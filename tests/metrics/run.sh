#!/usr/bin/env bash
# What Prometheus' own tool says of the metrics, the alert rules and the dashboard's queries.
# usage: run.sh [BINARY]   (by default target/release/llm-proxy)
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
binary=$(realpath "${1:-${CARGO_TARGET_DIR:-$root/target}/release/llm-proxy}")
"$root/scripts/need.sh" promtool python3 curl
place=$(mktemp -d)
proxy=
trap '[ -z "$proxy" ] || kill "$proxy"; wait; rm -rf "$place"' EXIT

echo "== the metrics of a proxy in front of simulated providers, after mixed requests"
"$binary" demo --port 0 >"$place/log" 2>&1 &
proxy=$!
for _ in $(seq 300); do
  base=$(grep -om1 'http://127.0.0.1:[0-9]*' "$place/log" || true)
  # The tour is over when the proxy says how to end it.
  if [ -n "$base" ] && grep -q Ctrl-C "$place/log"; then break; fi
  kill -0 "$proxy" || { cat "$place/log" >&2; exit 1; }
  sleep 0.1
done

ask() { curl -sS -o /dev/null -m 20 "$base$1" -H 'content-type: application/json' -d "$2"; }
chat() { ask /v1/chat/completions "$1"; }
for number in $(seq 10); do
  chat '{"messages":[{"role":"user","content":"Hello"}]}'
  chat '{"stream":true,"messages":[{"role":"user","content":"Hello"}]}'
  chat '{"model":"odd-'"$number"'\"} 1\n# TYPE","messages":[{"role":"user","content":"Hello"}]}'
done
ask /v1/completions '{"prompt":"Once"}'
ask /nothing/here '{}'
chat '{'
curl -sS -m 20 "$base/metrics" >"$place/metrics"
promtool check metrics <"$place/metrics"
for name in llm_proxy_requests_total llm_proxy_rejected_requests_total llm_proxy_cooldowns_total \
  gen_ai_server_time_to_first_token_seconds_bucket gen_ai_client_token_usage_sum; do
  grep -q "^$name{.*} [1-9]" "$place/metrics" || { echo "no $name" >&2; exit 1; }
done
if grep -q odd- "$place/metrics"; then echo "a client's model is a label" >&2; exit 1; fi

echo "== the alert rules"
promtool check rules "$root/docs/grafana/alerts.yml"
promtool test rules alerts_test.yml

echo "== the dashboard"
python3 dashboard.py "$root/docs/grafana/llm-proxy.json" >"$place/queries.yml"
promtool check rules "$place/queries.yml"
