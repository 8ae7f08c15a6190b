#!/usr/bin/env bash
# Installs the packages as users do and tries them: that for PostgreSQL 15 in a clean chroot of Debian 12, that for 17 in one of
# Debian 13, the archive in a copy of a server, and the sources as PGXN's client builds them. Root only.
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"
# shellcheck source=scripts/chroot.sh
source "$root/scripts/chroot.sh"
# shellcheck source=packaging/stage.sh
source "$root/packaging/stage.sh"
cd "$root"
export DEBEMAIL=${DEBEMAIL:-nobody@example.com}

cargo build --release -p google-standin
standin=$(realpath "${CARGO_TARGET_DIR:-target/}")/release/google-standin

# try MAJOR CHROOT: what apt-get, a cluster and a backfill say to the package; nothing of it stays in the chroot.
try() {
    local deb
    deb=$(ls "$dist/postgresql-$1-embedding-backfill_$version-1~"*.deb)
    in_chroot --throw-away --bind "$root" "$2" "$root/packaging/try.sh" "$deb" "$1" "$standin" "$root/target/pg/$1"
}

rm -rf "$dist"
pg15=$(tests/support/postgres.sh 15)
packaging/deb.sh "$pg15"
clean=$(open_directory chroot)/bookworm
make_chroot "$clean" bookworm
try 15 "$clean"

pg17=$(tests/support/postgres.sh 17)
packaging/deb.sh "$pg17"
try 17 "${pg17%/pg_config}"

say "lintian"
# shellcheck disable=SC2016
in_chroot --throw-away --bind "$dist" "$clean" sh -ec '
    { apt-get -qq update; apt-get -qq install -y --no-install-recommends lintian; } >/dev/null 2>&1
    lintian --allow-root --fail-on error,warning "$1"/*.deb' sh "$dist"

say "the archive"
pg18=$(tests/support/postgres.sh 18)
packaging/tarball.sh "$pg18"
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
tar -xzf "$dist"/*-pg18-*.tar.gz -C "$unpacked"
rm -f "$("$pg18" --pkglibdir)/embedding_backfill.so" "$("$pg18" --sharedir)/extension/embedding_backfill"*
(cd "$unpacked"/embedding_backfill-* && ./install.sh "$pg18")
PG_CONFIG=$pg18 cargo test --quiet -p stories -- install::

say "the sources, as PGXN's client installs them"
packaging/dist.sh
python3 -m venv "$unpacked/venv"
# A wheel in pip's cache names the Python of where it was built, which is gone.
"$unpacked/venv/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir pgxnclient==1.3.2
rm -f "$("$pg18" --pkglibdir)/embedding_backfill.so" "$("$pg18" --sharedir)/extension/embedding_backfill"*
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}
set_libclang
"$unpacked/venv/bin/pgxn" install --nosudo --yes --pg_config "$pg18" "$dist/embedding_backfill-$version.zip"
PG_CONFIG=$pg18 cargo test --quiet -p stories -- install::
say "all packages work"
