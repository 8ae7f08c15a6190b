#!/usr/bin/env bash
# Makes a Debian package of the extension for each of the distribution's PostgreSQLs that has its headers here, or for that of
# PG_CONFIG; where there is none, for the private one that the tests use:
#     packaging/deb.sh [PG_CONFIG]
# DEBFULLNAME and DEBEMAIL say who makes it.
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"
# shellcheck source=packaging/stage.sh
source "$root/packaging/stage.sh"
cd "$root"

need dpkg-deb "apt-get install dpkg"
need dpkg-shlibdeps "apt-get install dpkg-dev"
maintainer="${DEBFULLNAME:-embedding_backfill contributors} <${DEBEMAIL:-$(id -un)@$(hostname -f 2>/dev/null || uname -n)}>"

pg_configs=("$@")
if [ $# = 0 ]; then
    for major in 15 16 17 18; do
        [ ! -e /usr/include/postgresql/$major/server/postgres.h ] || pg_configs+=("/usr/lib/postgresql/$major/bin/pg_config")
    done
fi
[ ${#pg_configs[@]} != 0 ] || pg_configs=("$(tests/support/postgres.sh 15)")

# control MAJOR RELEASE DIRECTORY: what dpkg must know.
control() {
    local depends pgvector="postgresql-$1-pgvector (>= 0.7.0)"
    # It only reads the name of the source out of this file.
    mkdir -p "$3.work/debian"
    printf 'Source: embedding-backfill\nPackage: x\n' >"$3.work/debian/control"
    depends=postgresql-$1,\ $(cd "$3.work" && dpkg-shlibdeps -O "$3/usr/lib/postgresql/$1/lib/embedding_backfill.so" |
        sed -n 's/^shlibs:Depends=//p')
    # Debian 12 has no package of pgvector: there it is the PostgreSQL project's or built from source.
    if [ "$1$2" = 15deb12 ]; then
        depends+=$'\n'"Recommends: $pgvector"
    else
        depends+=", $pgvector"
    fi
    cat <<END
Package: postgresql-$1-embedding-backfill
Source: embedding-backfill
Version: $version-1~$2
Architecture: $(dpkg --print-architecture)
Maintainer: $maintainer
Installed-Size: $(du -sk --apparent-size "$3" | cut -f1)
Depends: $depends
Section: database
Priority: optional
Description: fill NULL vector columns through an embedding API (PostgreSQL $1)
 embedding_backfill is a PostgreSQL extension that fills the NULL vector
 columns of tables through Google's embedding API, with one SQL call: it says
 the price before, commits as it goes, keeps to limits and quotas, and proves
 the vectors afterwards.
 .
 This package is for PostgreSQL $1. CREATE EXTENSION needs pgvector, too.
END
}

# package PG_CONFIG: one of the distribution's, installed or unpacked somewhere.
package() {
    local pg_config=$1 says major library system release codename name directory doc
    says=$("$pg_config" --version)
    [[ $says =~ ^PostgreSQL\ ([0-9]+).*\((Debian|Ubuntu)\  ]] ||
        die "$says ($pg_config) is not of a Debian package; type: make tarball PG_CONFIG=$pg_config"
    major=${BASH_REMATCH[1]}
    library=$("$pg_config" --pkglibdir)
    system=${library%/usr/lib/postgresql/"$major"/lib}
    [ -e "$system/etc/os-release" ] || system=
    release=$(. "$system/etc/os-release" && echo "${ID/debian/deb}$VERSION_ID")
    codename=$(. "$system/etc/os-release" && echo "$VERSION_CODENAME")

    name=postgresql-$major-embedding-backfill
    directory=$(mktemp -d)/$name
    doc=$directory/usr/share/doc/$name
    stage "$pg_config" "$directory" "usr/lib/postgresql/$major/lib" "usr/share/postgresql/$major/extension"
    mkdir -p "$doc/docs"
    install -m 644 README.md "$doc/"
    install -m 644 docs/* "$doc/docs/"
    gzip -9n <CHANGELOG.md >"$doc/changelog.gz"
    gzip -9n >"$doc/changelog.Debian.gz" <<END
embedding-backfill ($version-1~$release) $codename; urgency=medium

  * Release $version, see changelog.gz.

 -- $maintainer  $(date -R -u -d "@$SOURCE_DATE_EPOCH")
END
    licenses "$major" | gzip -9n >"$doc/crates.gz"
    {
        printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n'
        printf 'Comment: crates.gz has the licenses of the crates that are linked into the library.\n\n'
        printf 'Files: *\nCopyright: %s\nLicense: Expat\n' "$(sed -n 's/^Copyright (c) //p' LICENSE)"
        sed '1,/^Copyright/d; /./!d' LICENSE | sed 's/^/ /'
    } >"$doc/copyright"
    mkdir "$directory/DEBIAN"
    control "$major" "$release" "$directory" >"$directory/DEBIAN/control"
    (cd "$directory" && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)

    mkdir -p "$dist"
    dpkg-deb --root-owner-group -Zxz --build "$directory" "$dist" >&2
    rm -rf "${directory%/*}"
}

for pg_config in "${pg_configs[@]}"; do package "$pg_config"; done
