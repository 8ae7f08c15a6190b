#!/usr/bin/env bash
# Makes archives of the sources as they are committed: one for all, and the same as zip, which PGXN takes.
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"
# shellcheck source=packaging/stage.sh
source "$root/packaging/stage.sh"
cd "$root"

need git "apt-get install git"
[ -z "$(git status --porcelain --untracked-files=no)" ] || say "what is not committed is left out"
mkdir -p "$dist"
name=embedding_backfill-$version
for format in tar.gz zip; do
    git archive --format="$format" --prefix="$name/" --output="$dist/$name.$format" HEAD
    say "made $dist/$name.$format"
done
