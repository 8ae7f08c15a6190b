#!/usr/bin/env bash
# Makes TREE: a chroot of Debian 13 with its PostgreSQL 17, pgvector and pg_cron, since programs of that release don't run on
# an older one, and a pg_config that says where things are as seen from outside:
#     tests/support/postgres-17.sh TREE
# What is built outside, for an older C library, runs in there.
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/common.sh"
# shellcheck source=scripts/chroot.sh
source "$root/scripts/chroot.sh"

tree=$1
[ ! -e "$tree/pg_config" ] || exit 0

# Python is for the story of Google's SDK.
make_chroot "$tree" trixie postgresql-17 postgresql-17-pgvector postgresql-17-cron python3 python3-venv
# The headers are unpacked, not installed, since the package wants LLVM and clang.
# shellcheck disable=SC2016
in_chroot "$tree" sh -ec 'cd /tmp; apt-get -qq download postgresql-server-dev-17; dpkg-deb -x postgresql-server-dev-17_*.deb /' >&2

cat >"$tree/pg_config" <<END
#!/bin/sh
# Paths of the PostgreSQL in this chroot, as they are outside of it.
chroot "$tree" /usr/lib/postgresql/17/bin/pg_config "\$@" | sed -E 's#(^|= )/#\1$tree/#'
END
chmod 755 "$tree/pg_config"
