# shellcheck shell=bash
# Sourced after common.sh by what makes packages: builds the extension for one PostgreSQL and says of what.
# shellcheck disable=SC2034,SC2154

dist=$root/target/dist
version=$(sed -n "s/^default_version = '\(.*\)'$/\1/p" "$root/embedding_backfill.control")
# The time that is in packages, so that the same sources give the same bytes.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH

# stage PG_CONFIG DIRECTORY LIBRARY EXTENSION: puts the library, and the control file with the SQL, there.
stage() {
    local pg_config=$1 directory=$2 stripped
    DESTDIR=$directory/installed "$root/scripts/extension.sh" install "$pg_config"
    need strip "apt-get install binutils"
    stripped=$directory/installed$("$pg_config" --pkglibdir)/embedding_backfill.so
    strip --strip-unneeded --remove-section=.comment --remove-section=.note "$stripped"
    install -Dm 644 "$stripped" "$directory/$3/embedding_backfill.so"
    mkdir -p "$directory/$4"
    cp "$directory/installed$("$pg_config" --sharedir)/extension"/* "$directory/$4/"
    rm -rf "${directory:?}/installed"
}

# licenses MAJOR: who wrote what is linked into the library, and what they ask for.
licenses() {
    need python3 "apt-get install python3"
    python3 "$root/packaging/licenses.py" "$root/Cargo.toml" "pg$1"
}
