#!/usr/bin/env bash
# Builds the extension for one PostgreSQL with plain cargo, or installs what was built (DESTDIR is honoured):
#     scripts/extension.sh build|install PG_CONFIG
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

pg_config=$(command -v "$2") ||
    die "there is no $2 here; name yours, as in: make $1 PG_CONFIG=/usr/lib/postgresql/18/bin/pg_config"
[[ $pg_config == /* ]] || pg_config=$PWD/$pg_config

version=$("$pg_config" --version)
major=$(sed -E 's/^[^0-9]*([0-9]+).*/\1/' <<<"$version")
[[ $major =~ ^(15|16|17|18)$ ]] ||
    die "$version ($pg_config) is not supported: embedding_backfill is for PostgreSQL 15, 16, 17 and 18"

built=$root/target/extension/$(tr -cs 'A-Za-z0-9.\n' '-' <<<"$version")/embedding_backfill.so

build() {
    local started
    started=$(date +%s.%N)
    cd "$root"
    # What `make` built serves `sudo make install` too, where there is often no cargo.
    [ ! -e "$built" ] || [ -n "$(find Cargo.toml Cargo.lock src -newer "$built" -print -quit)" ] || return 0

    want_compiler
    want_rust rustfmt
    if [ -e "$("$pg_config" --includedir-server)/postgres.h" ]; then
        want libclang-dev has_libclang
    else
        # It brings libclang.
        packages+=("postgresql-server-dev-$major")
    fi
    all_there
    set_libclang

    say "building embedding_backfill for $version (2 to 3 minutes the first time)"
    PGRX_PG_CONFIG_PATH=$pg_config cargo build --locked --release --no-default-features --features "pg$major"
    mkdir -p "${built%/*}"
    cp "${CARGO_TARGET_DIR:-target}/release/libembedding_backfill.so" "$built"
    touch -d "@$started" "$built"
}

install_built() {
    local library extension directory
    library=${DESTDIR:-}$("$pg_config" --pkglibdir)
    extension=${DESTDIR:-}$("$pg_config" --sharedir)/extension
    for directory in "$library" "$extension"; do
        [ ! -e "$directory" ] || [ -w "$directory" ] ||
            die "$directory belongs to $(stat -c %U "$directory"); type: sudo make install PG_CONFIG=$pg_config"
    done
    install -d "$library" "$extension"
    install -m 755 "$built" "$library/embedding_backfill.so"
    install -m 644 "$root/embedding_backfill.control" "$root"/sql/embedding_backfill--*.sql "$extension/"

    say "installed for $version${DESTDIR:+ under $DESTDIR}"
    [ -n "${DESTDIR:-}" ] || [ -e "$extension/vector.control" ] ||
        say "pgvector is not installed there yet, as with: apt-get install postgresql-$major-pgvector"
}

build
if [ "$1" = install ]; then
    install_built
else
    say "built for $version; to install it: sudo make install PG_CONFIG=$pg_config"
fi
