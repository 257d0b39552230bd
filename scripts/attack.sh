#!/usr/bin/env bash
# Honest miners of a genomaster, first undisturbed and then while `examples/attack` attacks it;
# prints the peak memory of the genomaster and the latencies of the honest miners of both. Build first:
# cargo build --release --bins --example crowd --example attack (or without --release, and set
# PROFILE=debug).
#
#     scripts/attack.sh [SECONDS] [MINERS] [flags of the example attack]
#
# Before either, each honest miner trains its entrance examination, about a second on two cores.
# CALM_SECONDS is the duration without attack (default SECONDS), POPULATION that of the search (default
# 1500): with a small one all miners often wait for the last jobs of a generation.
# NO_EXAM=1 measures a genomaster without examinations, UNSIGNED=1 one without a hotkey. The genomaster
# runs under an address-space limit of LIMIT_MIB (default 3072).
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-120}
miners=${2:-300}
shift $(($# < 2 ? $# : 2))
bin=${CARGO_TARGET_DIR:-target}/${PROFILE:-release}
folder=$(mktemp -d "${TMPDIR:-/tmp}/naschain-attack.XXXXXX")
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"
who=(--unsigned)
crowd=()
if [ -z "${UNSIGNED:-}" ]; then
    "$bin/miner" keygen --wallet.path "$folder/wallets" >/dev/null
    who=(--wallet.path "$folder/wallets" --open-reads ${NO_EXAM:+--no-exam})
    crowd=(--signed)
fi
pid=
trap '[ -n "$pid" ] && kill -9 $pid 2>/dev/null; wait 2>/dev/null || true; rm -rf "$folder"' EXIT

(
    ulimit -v $((${LIMIT_MIB:-3072} * 1024))
    exec "$bin/genomaster" serve "${who[@]}" --listen 127.0.0.1:0 --run "$folder/run" \
        --mode nsga2 --nodes 6 --population "${POPULATION:-1500}" --generations 1000 \
        --lease-seconds 60
) >"$folder/out" 2>"$folder/log" &
pid=$!
url=
for _ in $(seq 300); do
    url=$(sed -n 's/^listening on //p' "$folder/out" 2>/dev/null || true)
    [ -n "$url" ] && break
    sleep 0.1
done

# Measures the same miners for this many seconds; those that have joined are not examined again.
measure() {
    "$bin/examples/crowd" "$url" --miners "$miners" --seconds "$1" --training-ms 5000 \
        --pid "$pid" "${crowd[@]}"
}

report() {
    grep -E 'VmHWM|VmRSS' "/proc/$pid/status" || echo "the genomaster is gone: $(tail -3 "$folder/log")"
    ls -l "$folder/run/journal.sqlite" | awk '{ print "journal bytes", $5 }'
}

measure 1 >/dev/null
# Joining is not part of the measurement: the peak memory begins anew.
echo 5 >"/proc/$pid/clear_refs"
echo "undisturbed:"
measure "${CALM_SECONDS:-$seconds}"
report
echo 5 >"/proc/$pid/clear_refs"
echo "attacked:"
"$bin/examples/attack" "$url" --seconds "$seconds" "$@" >"$folder/attack" 2>&1 &
attack=$!
measure "$seconds"
report
wait "$attack" || true
cat "$folder/attack"
kill "$pid" && wait "$pid" || true
pid=
