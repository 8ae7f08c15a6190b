#!/usr/bin/env bash
# Builds the extension for a private PostgreSQL and tells the stories to it:
#     scripts/test.sh 18|17|16|15 [STORY...]
# A whole run on 18 is what docs/reliability.md is made of: it is held against the page, or, with RELIABILITY=write, writes it.
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$root"

need_tools rustfmt
need_openssl
status=0
PG_CONFIG=$(tests/support/postgres.sh "$1") || status=$?
# Elsewhere a version that can't be had is left out, and it was said why. On a build server that would hide a hole.
[ $status != 3 ] || [ "${CI:-}" = true ] || exit 0
[ $status = 0 ] || exit $status
export PG_CONFIG

scripts/extension.sh install "$PG_CONFIG"
# The first story that needs it would install it beside the others, for a minute or two. In the chroot of 17 none is seen here.
[ $# != 1 ] || [ "$1" = 17 ] || tests/support/chroma.sh >/dev/null
say "stories on $("$PG_CONFIG" --version)"
whole=$([ "$*" != 18 ] || echo yes)
[ -z "$whole" ] || rm -rf target/reliability
runner=()
[ "$1" != 17 ] || runner=(--config "target.'cfg(all())'.runner = '$root/tests/support/run-in-17.sh'")
cargo "${runner[@]}" test --locked -p stories -- "${@:2}"
[ -z "$whole" ] || cargo run --locked -q -p stories --bin reliability -- "${RELIABILITY:-check}"
