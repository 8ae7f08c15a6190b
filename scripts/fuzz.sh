#!/usr/bin/env bash
# Feeds the readers of Google's answers with what no API would say, starting from the corpus in fuzz/corpus:
#     scripts/fuzz.sh short|long SECONDS
# SECONDS are shared by the targets. short needs no more than plain cargo; long is cargo-fuzz with AddressSanitizer, and what
# it finds new stays in target/fuzz/corpus for the next time.
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$root"

targets=(answer error_body prediction)
seconds=$(($2 / ${#targets[@]}))

need_tools cargo-clippy
need_cxx

# What every run is told; what it finds is shown, and kept where git does not look.
options() {
    mkdir -p "target/fuzz/corpus/$1" target/fuzz/artifacts
    echo "-dict=fuzz/$1.dict" "-max_total_time=$seconds" -timeout=10 -verbosity=0 -print_final_stats=1 \
        "-artifact_prefix=target/fuzz/artifacts/$1-"
}

failed() {
    grep -v '^stat::\|# Uses:\|^###' "target/fuzz/$1.log" >&2
    die "$1 broke a promise of fuzz/src/$1.rs"
}

short() {
    # Those of cargo-fuzz without a sanitizer: they make libFuzzer see which branches an input takes.
    local target host flags=(
        --cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module
        -Cllvm-args=-sanitizer-coverage-level=4
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
        -Cllvm-args=-sanitizer-coverage-pc-table
        -Cllvm-args=-sanitizer-coverage-trace-compares
        -Cllvm-args=-simplifycfg-branch-fold-threshold=0
    )
    host=$(rustc -vV | sed -n 's/^host: //p')
    say "building the fuzz targets (a minute the first time)"
    # With a target named, build scripts and macros go without the flags.
    local cargo=(--locked --release --manifest-path fuzz/Cargo.toml --target "$host" --target-dir target/fuzz)
    RUSTFLAGS="${flags[*]}" cargo build "${cargo[@]}"
    RUSTFLAGS="${flags[*]}" cargo clippy "${cargo[@]}" -- -D warnings
    for target in "${targets[@]}"; do
        say "$target: the corpus, and what $seconds s make of it"
        scratch=$(mktemp -d)
        # The same way through each time, so that a failure is the change's and not the day's.
        # shellcheck disable=SC2046
        "target/fuzz/$host/release/$target" $(options "$target") -seed=1 "$scratch" "fuzz/corpus/$target" \
            >"target/fuzz/$target.log" 2>&1 || failed "$target"
        rm -r "$scratch"
        sed -n 's/^stat::number_of_executed_units: /    inputs: /p' "target/fuzz/$target.log" >&2
    done
}

long() {
    need cargo-fuzz "cargo install cargo-fuzz --locked"
    local target
    for target in "${targets[@]}"; do
        say "$target: $seconds s with AddressSanitizer"
        # A sanitizer is a flag that the stable compiler keeps for itself otherwise.
        # shellcheck disable=SC2046
        RUSTC_BOOTSTRAP=1 cargo fuzz run --target-dir target/fuzz-sanitized "$target" \
            "target/fuzz/corpus/$target" "fuzz/corpus/$target" -- $(options "$target") 2>&1 | grep -v '# Uses:'
    done
}

"$1"
