#!/usr/bin/env bash
# Freezes the install script of this version in tests/fixtures, where updates to later versions are tried from. The last thing
# that is done before a release; a script that is released is never changed again.
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$root"

version=$(sed -n "s/^default_version = '\(.*\)'$/\1/p" embedding_backfill.control)
script=embedding_backfill--$version.sql
! git rev-parse --quiet --verify "refs/tags/v$version" >/dev/null ||
    die "$version is released, so sql/$script is what users have; a change is a new version with an update script"
cp "sql/$script" "tests/fixtures/$script"
cd tests/fixtures
sums=$(grep -v " $script\$" SHA256SUMS || true)
{ [ -z "$sums" ] || echo "$sums"; sha256sum "$script"; } >SHA256SUMS
say "froze tests/fixtures/$script"
