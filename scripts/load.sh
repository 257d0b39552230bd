#!/usr/bin/env bash
# Load test of a genomaster over HTTP on two cores, with 2,000 simulated miners and ten readers of its
# events; prints one JSON object. Build first: cargo build --release --bins --example crowd
# (or without --release, and set PROFILE=debug).
#
#     scripts/load.sh [MINERS] [SECONDS] [more flags of the example crowd]
#
# STORE=postgres://... selects another store than a file. With SIGNED=1 each miner has its own hotkey
# and connections, and every request is signed and verified.
set -euo pipefail
cd "$(dirname "$0")/.."
miners=${1:-2000}
seconds=${2:-30}
shift $(($# < 2 ? $# : 2))
bin=${CARGO_TARGET_DIR:-target}/${PROFILE:-release}
folder=$(mktemp -d "${TMPDIR:-/tmp}/naschain-load.XXXXXX")
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"
log=$folder/log
who=(--unsigned)
crowd=()
if [ -n "${SIGNED:-}" ]; then
    "$bin/miner" keygen --wallet.path "$folder/wallets" >/dev/null
    who=(--wallet.path "$folder/wallets" --max-connections 65536 --no-exam --new-hotkeys 0)
    crowd=(--signed)
fi
taskset -c 0,1 "$bin/genomaster" serve "${who[@]}" --listen 127.0.0.1:0 --run "$folder/run" \
    ${STORE:+--store "$STORE"} --mode nsga2 --nodes 6 --population 1500 --generations 1000 \
    --lease-seconds 60 >"$folder/out" 2>"$log" &
pid=$!
trap 'kill -9 $pid 2>/dev/null; wait $pid 2>/dev/null || true; rm -rf "$folder"' EXIT
for _ in $(seq 100); do
    url=$(sed -n 's/^listening on //p' "$folder/out" 2>/dev/null || true)
    [ -n "$url" ] && break
    sleep 0.1
done
taskset -c 0,1 "$bin/examples/crowd" "$url" --miners "$miners" --readers 10 \
    --seconds "$seconds" --pid "$pid" "${crowd[@]}" "$@"
grep -E "ERROR|WARN" "$log" | head -3 >&2 || true
