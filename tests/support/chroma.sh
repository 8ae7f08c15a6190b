#!/usr/bin/env bash
# Prints the directory of the programs of a ChromaDB, its server and its client's Python, which it makes under target/chroma at
# the first use.
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/common.sh"

chroma=$(open_directory chroma)
exec 9>"$chroma/lock"
flock 9

need python3 "apt-get install python3 python3-venv"
# What is compiled is for one version of Python, and the chroot of PostgreSQL 17 has another.
venv=$chroma/$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
python_packages "$venv" "chromadb==1.5.9" "ChromaDB into target/chroma (500 MB on disk, a minute or two)"
echo "$venv/bin"
