#!/usr/bin/env bash
# Runs a command with a temporary PostgreSQL server, in a temporary folder and on a free port:
#
#     scripts/postgres.sh cargo test --workspace
#
# NASCHAIN_TEST_POSTGRES holds the server's URL. Requires PostgreSQL's programs (Debian: apt-get
# install postgresql); the server is stopped and deleted at the end. PostgreSQL refuses to run as
# root, so under root it runs as the user postgres or nobody.
set -euo pipefail

bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
bin=${bin:-$(dirname "$(command -v initdb || echo /none/initdb)")}
if [ ! -x "$bin/initdb" ] || [ ! -x "$bin/postgres" ]; then
    echo "PostgreSQL's programs were not found: apt-get install postgresql" >&2
    exit 2
fi
folder=$(mktemp -d /tmp/naschain-postgres.XXXXXX)
as=()
if [ "$(id -u)" = 0 ]; then
    user=postgres
    id "$user" >/dev/null 2>&1 || user=nobody
    chown "$user" "$folder"
    as=(runuser -u "$user" --)
fi
cd_to=$PWD
cd "$folder"
stop() {
    cd "$folder"
    "${as[@]}" "$bin/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$folder"
}
trap stop EXIT
"${as[@]}" "$bin/initdb" -D "$folder/data" -U naschain -A trust -E UTF8 --no-sync >"$folder/initdb.log"
# A random port may be in use, so several are tried.
for _ in 1 2 3 4 5; do
    port=$((20000 + RANDOM % 20000))
    options="-c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories= -c max_connections=200"
    if "${as[@]}" "$bin/pg_ctl" -D "$folder/data" -l "$folder/log" -w -o "$options" start >/dev/null; then
        export NASCHAIN_TEST_POSTGRES="postgres://naschain@127.0.0.1:$port/postgres"
        break
    fi
done
if [ -z "${NASCHAIN_TEST_POSTGRES:-}" ]; then
    echo "PostgreSQL failed to start:" >&2
    cat "$folder/log" >&2
    exit 2
fi
echo "PostgreSQL listens on $NASCHAIN_TEST_POSTGRES"
cd "$cd_to"
"$@"
