#!/usr/bin/env bash
# Measures a genomaster with many runs: 20 runs of 20 users at a time, and simulated miners. Prints what
# examples/crowd_of_runs.rs prints.
#
#     scripts/many_runs.sh [MINERS] [SECONDS]
set -euo pipefail
cd "$(dirname "$0")/.."
miners=${1:-500} seconds=${2:-60}
cargo build --release -p naschain-bins --bin genomaster --example crowd_of_runs
bin=${CARGO_TARGET_DIR:-target}/release
home=$(mktemp -d)
server=
finish() { [ -z "$server" ] || kill "$server" 2> /dev/null || true; rm -rf "$home"; }
trap finish EXIT
for user in $(seq 20); do
    "$bin/genomaster" user add "user$user" --home "$home/home" > "$home/user$user.token"
done
"$bin/genomaster" serve --home "$home/home" --unsigned --listen 127.0.0.1:0 > "$home/out" 2> "$home/log" &
server=$!
until grep -q listening "$home/out"; do sleep 0.1; done
url=$(sed -n 's/listening on //p' "$home/out")
for user in $(seq 20); do
    "$bin/genomaster" submit --genomaster "$url" --token-file "$home/user$user.token" --data digits \
        --public --no-referee --name "run$user" --seed "$user" --population 100 --generations 1000 > /dev/null
done
"$bin/examples/crowd_of_runs" "$url" --miners "$miners" --seconds "$seconds" --pid "$server"
