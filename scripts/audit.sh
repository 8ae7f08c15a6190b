#!/usr/bin/env bash
# Looks the locked dependencies up in RustSec's advisories, which cargo-deny fetches from GitHub with git: a change can't answer
# for what was found out since, so this is no part of `make test`.
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$root"

need git "apt-get install git"
checkers=$(checkers)
for manifest in Cargo.toml fuzz/Cargo.toml; do
    say "known vulnerabilities in the dependencies of $manifest"
    "$checkers/cargo-deny" --locked --config deny.toml --manifest-path "$manifest" --workspace check \
        -A advisory-not-detected advisories ||
        die "see above; without GitHub there are no advisories to look up"
done
