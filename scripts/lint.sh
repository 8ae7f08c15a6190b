#!/usr/bin/env bash
# Formatting and lints: the extension, its floors without PostgreSQL, the crates of the tests and the benchmark, the SQL, and
# what all of them are built of.
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$root"

need_tools rustfmt cargo-clippy
PGRX_PG_CONFIG_PATH=$(tests/support/postgres.sh 18)
export PGRX_PG_CONFIG_PATH
set_libclang

say "formatting and lints"
cargo fmt --all --check
cargo clippy --locked --all-targets --no-default-features --features pg18 -- -D warnings
cargo clippy --locked --all-targets --no-default-features -- -D warnings
cargo clippy --locked --all-targets -p stories -p google-standin -p bench -- -D warnings
cargo fmt --manifest-path fuzz/Cargo.toml --check

say "what the SQL leaves open to a hostile search_path"
checkers=$(checkers)
# A procedure that commits can have no search_path of its own; every name in it is qualified.
embed_all_missing="embed_all_missing(\
relation regclass,batch integer,content text,embedding_column name,source_filter text,model text,\
max_duration interval,max_rows bigint,max_tokens bigint,max_cost numeric,mirror text,\
INOUT embedded bigint,INOUT remaining bigint,INOUT stopped_because text)"
commits=(
    --proc-without-search-path "extschema.$embed_all_missing"
    --proc-without-search-path "embedding_backfill.$embed_all_missing"
    --proc-without-search-path "extschema.mirror_to_chroma(\
relation regclass,collection text,content text,embedding_column name,key text,metadata text[],\
source_filter text,batch integer,max_duration interval,INOUT mirrored bigint,INOUT removed bigint)"
)
for script in sql/*.sql; do
    # An update replaces views and functions that PostgreSQL knows to be the extension's own.
    case $script in
        *--*--*) "$checkers/pgspot" "$script" "${commits[@]}" --ignore PS002 --ignore PS015 ;;
        *) "$checkers/pgspot" "$script" "${commits[@]}" ;;
    esac
done

say "licences, duplicates and sources of the dependencies"
"$checkers/cargo-deny" --locked --workspace check -A license-exception-not-encountered licenses bans sources
"$checkers/cargo-deny" --locked --config deny.toml --manifest-path fuzz/Cargo.toml check -A unmatched-skip licenses bans sources
