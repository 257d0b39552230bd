#!/usr/bin/env bash
# Measures several genomasters of one home, on a temporary PostgreSQL server: 30 runs of 30 users, and
# simulated miners. With KILL, the first genomaster is killed after so many seconds. Prints what
# examples/crowd_of_runs.rs prints, and how many acknowledged answers are in no journal.
#
#     scripts/several_genomasters.sh [GENOMASTERS] [MINERS] [SECONDS] [KILL]
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -z "${NASCHAIN_TEST_POSTGRES:-}" ]; then
    cargo build --release -p naschain-bins --bin genomaster --example crowd_of_runs
    exec scripts/postgres.sh "scripts/$(basename "$0")" "$@"
fi
count=${1:-3} miners=${2:-500} seconds=${3:-60} kill=${4:-}
bin=${CARGO_TARGET_DIR:-target}/release
dir=$(mktemp -d)
servers=()
finish() { [ ${#servers[@]} = 0 ] || kill "${servers[@]}" 2> /dev/null || true; rm -rf "$dir"; }
trap finish EXIT
mkdir "$dir/files"
for user in $(seq 30); do
    "$bin/genomaster" user add "user$user" --home "$dir/1" --store "$NASCHAIN_TEST_POSTGRES" > "$dir/user$user.token"
done
urls=()
for number in $(seq "$count"); do
    "$bin/genomaster" serve --home "$dir/$number" --store "$NASCHAIN_TEST_POSTGRES" --files "$dir/files" \
        --unsigned --listen 127.0.0.1:0 > "$dir/out$number" 2> "$dir/log$number" &
    servers+=($!)
    until grep -q listening "$dir/out$number"; do sleep 0.1; done
    urls+=("$(sed -n 's/listening on //p' "$dir/out$number")")
done
for user in $(seq 30); do
    "$bin/genomaster" submit --genomaster "${urls[$((user % count))]}" --token-file "$dir/user$user.token" \
        --data digits --public --no-referee --name "run$user" --seed "$user" --population 100 --generations 1000 > /dev/null
done
sleep 5
list() { local IFS=,; echo "$*"; }
"$bin/examples/crowd_of_runs" "$(list "${urls[@]}")" --miners "$miners" --seconds "$seconds" \
    --acknowledged "$dir/acknowledged" \
    --pid "$(list "${servers[@]}")" ${kill:+--kill "${servers[0]}" --after "$kill"}
psql "$NASCHAIN_TEST_POSTGRES" --no-align --tuples-only --command \
    "SELECT run || ' ' || (event::json ->> 'lease') FROM naschain_journal WHERE event LIKE '{\"event\":\"submit\"%'" \
    | sort > "$dir/journals"
echo "answers lost: $(sort "$dir/acknowledged" | comm -23 - "$dir/journals" | wc -l)"
