#!/usr/bin/env bash
# The tests that need no PostgreSQL: of the lower floors, of the stand-in and of the benchmark.
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$root"

need_tools rustfmt
need_openssl
say "tests without PostgreSQL"
cargo test --locked --no-default-features
cargo test --locked -p google-standin
cargo test --locked -p bench
tests/support/standin/words.sh "$root/target/words"
WORDS_DIR=$root/target/words cargo test --locked -p google-standin --test words -- --ignored
