#!/bin/sh
# Installs embedding_backfill for PostgreSQL @MAJOR@ (DESTDIR is honoured):
#     ./install.sh [PG_CONFIG]
set -eu
cd "$(dirname "$0")"
umask 022

pg_config=${1:-pg_config}
version=$("$pg_config" --version) || { echo "name your pg_config, as in: $0 /usr/pgsql-@MAJOR@/bin/pg_config" >&2; exit 1; }
case $version in
    "PostgreSQL @MAJOR@"[!0-9]*) ;;
    *) echo "this is for PostgreSQL @MAJOR@, and $pg_config is of $version" >&2; exit 1 ;;
esac
library=${DESTDIR:-}$("$pg_config" --pkglibdir)
extension=${DESTDIR:-}$("$pg_config" --sharedir)/extension
mkdir -p "$library" "$extension"
# Sessions that use an older one keep it: a file that is in use is replaced, not written to.
cp lib/embedding_backfill.so "$library/embedding_backfill.so.new"
mv -f "$library/embedding_backfill.so.new" "$library/embedding_backfill.so"
cp extension/* "$extension/"
echo "installed for $version; in the database: CREATE EXTENSION embedding_backfill CASCADE;"
