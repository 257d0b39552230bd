#!/usr/bin/env bash
# Honest miners of a genomaster, first undisturbed and then while `examples/attack` attacks it;
# prints the peak memory of the genomaster and the latencies of the honest miners of both. Build first:
# cargo build --release --bins --example crowd --example attack (or without --release, and set
# PROFILE=debug).
#
#     scripts/attack.sh [SECONDS] [MINERS] [flags of the example attack]
#
# The genomaster runs under an address-space limit of LIMIT_MIB (default 3072). UNSIGNED=1 measures one
# without a hotkey.
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
    who=(--wallet.path "$folder/wallets" --open-reads --no-exam)
    crowd=(--signed)
fi
pid=
trap '[ -n "$pid" ] && kill -9 $pid 2>/dev/null; wait 2>/dev/null || true; rm -rf "$folder"' EXIT

# One genomaster with honest miners; the first argument names its folder, the rest is run meanwhile
# with its address.
measure() {
    local run=$folder/$1 url=
    shift
    mkdir "$run"
    (
        ulimit -v $((${LIMIT_MIB:-3072} * 1024))
        exec "$bin/genomaster" serve "${who[@]}" --listen 127.0.0.1:0 --run "$run/run" \
            --mode nsga2 --nodes 6 --population 1500 --generations 1000 --lease-seconds 60
    ) >"$run/out" 2>"$run/log" &
    pid=$!
    for _ in $(seq 300); do
        url=$(sed -n 's/^listening on //p' "$run/out" 2>/dev/null || true)
        [ -n "$url" ] && break
        sleep 0.1
    done
    local attack=
    if [ $# -gt 0 ]; then
        "$@" "$url" --seconds "$seconds" "${more[@]}" >"$run/attack" 2>&1 &
        attack=$!
    fi
    "$bin/examples/crowd" "$url" --miners "$miners" --seconds "$seconds" --training-ms 5000 \
        --pid "$pid" "${crowd[@]}" >"$run/crowd"
    [ -n "$attack" ] && wait "$attack" || true
    grep -E 'VmHWM|VmRSS' "/proc/$pid/status" || echo "the genomaster is gone: $(tail -3 "$run/log")"
    cat "$run/crowd"
    [ $# -gt 0 ] && cat "$run/attack"
    ls -l "$run/run/journal.sqlite" | awk '{ print "journal bytes", $5 }'
    kill "$pid" && wait "$pid" || true
    pid=
}
more=("$@")
echo "undisturbed:"
measure calm
echo "attacked:"
measure attacked "$bin/examples/attack"
