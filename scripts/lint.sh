#!/usr/bin/env bash
# Formatting and lints: the extension, its floors without PostgreSQL, and the crates of the tests and the benchmark.
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$root"

need_rust rustfmt cargo-clippy
need cc "apt-get install gcc libc6-dev"
PGRX_PG_CONFIG_PATH=$(tests/support/postgres.sh 18)
export PGRX_PG_CONFIG_PATH
set_libclang

say "formatting and lints"
cargo fmt --all --check
cargo clippy --all-targets --no-default-features --features pg18 -- -D warnings
cargo clippy --all-targets --no-default-features -- -D warnings
cargo clippy --all-targets -p stories -p google-standin -p bench -- -D warnings
