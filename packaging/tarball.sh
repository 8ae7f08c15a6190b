#!/usr/bin/env bash
# Makes an archive of the built extension for one PostgreSQL, with a script that installs it:
#     packaging/tarball.sh PG_CONFIG
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"
# shellcheck source=packaging/stage.sh
source "$root/packaging/stage.sh"
cd "$root"

pg_config=$(command -v "$1") || die "there is no $1 here; name yours, as in: make tarball PG_CONFIG=/usr/pgsql-18/bin/pg_config"
major=$("$pg_config" --version | sed -E 's/^[^0-9]*([0-9]+).*/\1/')
name=embedding_backfill-$version-pg$major-linux-$(uname -m)
directory=$(mktemp -d)/$name
stage "$pg_config" "$directory" lib extension
licenses "$major" >"$directory/LICENSE.crates"
mkdir "$directory/docs"
install -m 644 README.md CHANGELOG.md LICENSE "$directory/"
install -m 644 docs/* "$directory/docs/"
sed "s/@MAJOR@/$major/" packaging/install.sh >"$directory/install.sh"
chmod 755 "$directory/install.sh"
mkdir -p "$dist"
tar -C "${directory%/*}" --sort=name --owner=0 --group=0 --mtime="@$SOURCE_DATE_EPOCH" -c "$name" | gzip -9n >"$dist/$name.tar.gz"
rm -rf "${directory%/*}"
say "made $dist/$name.tar.gz"
