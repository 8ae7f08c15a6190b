#!/usr/bin/env bash
# Cargo's runner for tests of PostgreSQL 17: runs a program that was built outside in the chroot that the server needs.
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/common.sh"
# shellcheck source=scripts/chroot.sh
source "$root/scripts/chroot.sh"

tree=$(open_directory pg)/17
target=${1%/*/*/*}
# What the tests keep there, such as a Python, is of one Debian release.
mkdir -p "$target/tmp" "$tree/var/cache/embedding_backfill"
in_chroot --bind "$root" --bind "$target" --bind "$tree/var/cache/embedding_backfill:$target/tmp" "$tree" \
    env --chdir="$PWD" PG_CONFIG=/usr/lib/postgresql/17/bin/pg_config "$@"
