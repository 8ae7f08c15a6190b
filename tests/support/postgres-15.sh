#!/usr/bin/env bash
# Makes TREE: the distribution's PostgreSQL 15 with contrib and pg_cron, and pgvector from its next release's source package:
#     tests/support/postgres-15.sh TREE
# The packages are downloaded and unpacked there, not installed, so that the machine's own PostgreSQL is not upgraded and no
# cluster comes into being. Only shared libraries that are missing are installed. Ends with status 3 where it can't be had.
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/common.sh"

tree=$1 work=$1.work
bin=usr/lib/postgresql/15/bin lib=usr/lib/postgresql/15/lib
[ ! -e "$tree/ready" ] || exit 0

leave_out() {
    say "PostgreSQL 15 is left out: $*"
    exit 3
}

command -v apt-get >/dev/null || leave_out "it is made from Debian's packages, and there is no apt-get here"
need cc "apt-get install gcc libc6-dev"

say "unpacking the distribution's PostgreSQL 15 with contrib and pg_cron in target/pg (45 MB)"
rm -rf "$tree" "$work"
mkdir -p "$tree" "$work"/{sources,lists/partial,cache/archives/partial}
cd "$work"

# apt with its own lists, so that it works for an ordinary user and leaves the machine's alone.
release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
cp /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list sources/ 2>/dev/null || true
[ ! -e /etc/apt/sources.list ] || cp /etc/apt/sources.list sources/main.list
for list in sources/*.sources; do
    [ ! -e "$list" ] || sed -e "s/\b$release\b/trixie/g" -e 's/^Types:.*/Types: deb-src/' "$list" >"${list%.sources}-next.sources"
done
for list in sources/*.list; do
    [ ! -e "$list" ] || sed -n "/\b$release\b/ { s/\b$release\b/trixie/g; s/^deb /deb-src /p }" "$list" >"${list%.list}-next.list"
done
cat >apt.conf <<EOF
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "$work/sources";
Dir::State::Lists "$work/lists";
Dir::Cache "$work/cache";
APT::Sandbox::User "root";
#clear APT::Update::Post-Invoke;
EOF
apt=(apt-get -qq "--config-file=$work/apt.conf")

# A source that has no such release is no reason to stop: the downloads tell.
"${apt[@]}" update >&2 || true
"${apt[@]}" download postgresql-15 postgresql-client-15 postgresql-server-dev-15 postgresql-15-cron >&2 ||
    leave_out "$(. /etc/os-release && echo "$PRETTY_NAME") has no packages of it"
"${apt[@]}" source --download-only pgvector >&2 || leave_out "no source package of pgvector was found"
for package in ./*.deb; do dpkg-deb -x "$package" "$tree"; done
# Without LLVM, which is larger than all the rest: PostgreSQL then runs without JIT.
rm -rf "${tree:?}/$lib"/llvmjit* "${tree:?}/$lib/bitcode"

missing=$(ldd "$tree/$bin/postgres" "$tree/$bin/psql" "$tree/$lib"/*.so | grep 'not found' || true)
if [ -n "$missing" ] || [ ! -d /usr/share/zoneinfo ]; then
    may_install_packages || leave_out "shared libraries are missing, which root can install with: apt-get install postgresql-15"
    say "installing the shared libraries that PostgreSQL 15 needs"
    dpkg-deb -f postgresql-15_*.deb Depends | tr ',' '\n' | sed -E 's/^ *([^ |]+).*/\1/' | grep -E '^(lib|tzdata|zlib)' |
        grep -v llvm | xargs "${apt[@]}" install -y --no-install-recommends libreadline8 >&2
fi

say "building pgvector for PostgreSQL 15"
tar -xzf pgvector_*.orig.tar.gz
make -s -C pgvector-*/ -j2 install OPTFLAGS="" with_llvm=no PG_CONFIG="$tree/$bin/pg_config" >&2
cd /
rm -rf "$work"
touch "$tree/ready"
