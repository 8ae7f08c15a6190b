#!/usr/bin/env bash
# Builds everything in release mode and takes the measures of docs/benchmarks.md on a private PostgreSQL:
#     scripts/bench.sh 18|16|15
# ONLY=ceiling,cancel takes some of them, BENCH_ROUNDS=9 more rounds than five.
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$root"

PG_CONFIG=$(tests/support/postgres.sh "$1")
export PG_CONFIG
scripts/extension.sh install "$PG_CONFIG"

wanted="google-genai[aiohttp]==3.4.0 psycopg[binary]==3.3.9 pgvector==0.5.1" venv=$root/target/bench-venv
if [ "$(cat "$venv/wanted" 2>/dev/null)" != "$wanted" ]; then
    say "installing what benches/script.py needs into target/bench-venv (100 MB)"
    python3 -m venv --clear "$venv" >&2
    # shellcheck disable=SC2086
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check $wanted >&2
    echo "$wanted" >"$venv/wanted"
fi
export BENCH_PYTHON=$venv/bin/python

cargo build --locked --release -p bench -p google-standin
say "measuring on $("$PG_CONFIG" --version); a quarter of an hour, in which the machine should do nothing else"
exec "${CARGO_TARGET_DIR:-target}/release/bench"
