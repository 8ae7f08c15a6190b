#!/usr/bin/env bash
# Shows the backfill on a private PostgreSQL 18 under target/, with 488 real rows, against a stand-in for Google's API; with
# API=google against Google itself; with MIRROR=1 also the mirror in a ChromaDB. Nothing outside the checkout is touched, and it can be run again and again.
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"
cd "$root"
unset "${!PG@}"

[ "${API:-standin}" = standin ] || [ "$API" = google ] || die "API=$API is not known: standin (the default) or google"
[ "${API:-}" != google ] || [ -n "${GEMINI_API_KEY:-}" ] || die "API=google needs your key in GEMINI_API_KEY"

need_tools rustfmt
[ -z "${MIRROR:-}" ] || chroma=$(tests/support/chroma.sh)
pg_config=$(tests/support/postgres.sh 18)
scripts/extension.sh install "$pg_config"
bin=$("$pg_config" --bindir)

if [ "${API:-}" = google ]; then
    key=$GEMINI_API_KEY
else
    say "building the stand-in for Google's API"
    cargo build --locked --release -p google-standin
    standin=$(realpath "${CARGO_TARGET_DIR:-target}/release/google-standin")
    tests/support/standin/words.sh "$root/target/words"
    key=demo-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
fi

# Nothing of the caller's own settings or keys reaches the server.
server() {
    local program=$bin/$1
    shift
    (cd / && "${as_server[@]}" env -i "PATH=$PATH" LC_ALL=C.UTF-8 "$program" "$@")
}

say "starting a private PostgreSQL 18 in target/demo"
demo/stop.sh
demo=$(open_directory demo)
trap demo/stop.sh EXIT
mkdir -m 700 "$demo/data"
# The path of a Unix socket has a limit of 107 bytes.
if [ ${#demo} -lt 80 ]; then mkdir "$demo/socket"; else ln -s "$(mktemp -d /tmp/eb-demo-XXXXXX)" "$demo/socket"; fi
socket=$(realpath "$demo/socket")
chmod 700 "$socket"
(umask 077 && printf '%s\n' "$key" >"$demo/key")
[ "$(id -u)" != 0 ] || chown nobody "$demo/data" "$socket" "$demo/key"
server initdb --pgdata="$demo/data" --username=postgres --auth=trust --encoding=UTF8 --no-sync >/dev/null
server pg_ctl start --silent --wait --pgdata="$demo/data" --log="$demo/data/server.log" \
    --options="-c listen_addresses='' -c unix_socket_directories='$socket'" ||
    die "PostgreSQL did not start: $(tail -n 5 "$demo/data/server.log")"

cat >"$demo/psql" <<EOF
#!/usr/bin/env bash
# psql on the demo's database.
unset "\${!PG@}"
exec "$bin/psql" -h "$socket" -U postgres "\$@" demo
EOF
chmod 755 "$demo/psql"
PGDATABASE=postgres "$bin/createdb" -h "$socket" -U postgres demo

settings=(--set "key_file=$demo/key")
if [ "${API:-}" != google ]; then
    (cd "$demo" && exec setsid "$standin" --port 0 --key "$key" --latency-ms 100 --words "$root/target/words") \
        >"$demo/standin.log" 2>&1 </dev/null &
    echo $! >"$demo/standin.pid"
    until base_url=$(sed -n 's/^listening on //p' "$demo/standin.log" 2>/dev/null) && [ -n "$base_url" ]; do
        kill -0 $! || die "the stand-in did not start: $(cat "$demo/standin.log")"
        sleep 0.05
    done
    settings+=(--set "base_url=$base_url")
fi

scripts=(tables backfill search)
if [ -n "${MIRROR:-}" ]; then
    say "starting ChromaDB"
    # Where somebody takes the port in between, Chroma ends, and says so.
    port=$("$chroma/python" -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
    (cd "$demo" && exec env "HOME=$demo" ANONYMIZED_TELEMETRY=False setsid "$chroma/chroma" run --path "$demo/chroma" \
        --host 127.0.0.1 --port "$port") >"$demo/chroma.log" 2>&1 </dev/null &
    echo $! >"$demo/chroma.pid"
    chroma_url=http://127.0.0.1:$port
    until "$chroma/python" -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1])' "$chroma_url/api/v2/heartbeat" 2>/dev/null; do
        kill -0 $! 2>/dev/null || die "ChromaDB did not start: $(tail -n 5 "$demo/chroma.log")"
        sleep 0.05
    done
    settings+=(--set "chroma_url=$chroma_url")
    scripts+=(mirror)
fi

for script in "${scripts[@]}"; do
    echo
    (cd demo/data && "$demo/psql" -X --quiet --set ON_ERROR_STOP=1 "${settings[@]}" <"../$script.sql" 2>&1)
done
if [ -n "${MIRROR:-}" ]; then
    printf '%s\n' "-- The same question to Chroma, with its own client in Python:"
    "$demo/psql" -XAtc "SELECT embed_query('memory_logs', 'clock, calendar')" |
        "$chroma/python" demo/mirror.py "$chroma_url" default_database memory_logs
fi

trap - EXIT
echo
say "the servers go on running. Look around with: target/demo/psql    End it with: make demo-stop"
[ -n "${MIRROR:-}" ] || say "the vectors also in a ChromaDB, which is 500 MB to install: make demo MIRROR=1"
[ "${API:-}" = google ] || say "the same with Google, for a few cents:" \
    "$([ -n "${GEMINI_API_KEY:-}" ] || echo "export GEMINI_API_KEY=your-key; ")make demo API=google"
