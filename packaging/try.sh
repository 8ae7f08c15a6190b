#!/bin/bash
# Runs in a chroot: installs a package as a user does, and makes a cluster, the extension and a backfill with it:
#     try.sh DEB MAJOR STANDIN PGVECTOR_TREE
set -euo pipefail
deb=$1 major=$2 standin=$3 pgvector=$4
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
say() { echo "==> $*"; }

say "apt-get install $deb"
# What a build may have left in a chroot that has the server already is not the package's.
rm -f "/usr/lib/postgresql/$major/lib/embedding_backfill.so" "/usr/share/postgresql/$major/extension/embedding_backfill"*
apt-get -qq update
apt-get -qq install -y "$deb" >/tmp/apt.log 2>&1 || { cat /tmp/apt.log; exit 1; }
package=$(dpkg-deb -f "$deb" Package)
dpkg --verify "$package"

extension=/usr/share/postgresql/$major/extension
if [ ! -e "$extension/vector.control" ]; then
    say "pgvector, which was built from source for this PostgreSQL"
    cp "$pgvector/usr/lib/postgresql/$major/lib/vector.so" "/usr/lib/postgresql/$major/lib/"
    cp "$pgvector$extension/vector"* "$extension/"
fi

say "a cluster"
# Without TCP, since its port would be the machine's.
pg_createcluster "$major" try --pgoption listen_addresses= >/dev/null
pg_ctlcluster "$major" try start
port=$(pg_lsclusters -h | sed -n 's/^[0-9]* *try *\([0-9]*\).*/\1/p')
sql() { runuser -u postgres -- psql -X -p "$port" -v ON_ERROR_STOP=1 -qAt "$@"; }

key=AQ.key_of_the_try
: >/tmp/standin.log
"$standin" --port 0 --key "$key" >>/tmp/standin.log &
trap 'kill $!; pg_dropcluster --stop "$major" try' EXIT
until base_url=$(sed -n 's/^listening on //p' /tmp/standin.log) && [ -n "$base_url" ]; do
    kill -0 $!
    sleep 0.05
done
install -m 600 -o postgres /dev/null /etc/postgresql/gemini.key
echo "$key" >/etc/postgresql/gemini.key

say "a backfill"
sql <<END
CREATE EXTENSION embedding_backfill CASCADE;
ALTER SYSTEM SET embedding_backfill.api_key_file = '/etc/postgresql/gemini.key';
ALTER SYSTEM SET embedding_backfill.base_url = '$base_url';
SELECT pg_reload_conf();
CREATE TABLE notes (id bigint PRIMARY KEY, content text, embedding vector(768));
INSERT INTO notes SELECT i, 'note ' || i FROM generate_series(1, 120) AS i;
END
# A new session has the settings.
[ "$(sql -c "CALL embed_all_missing('notes')" 2>/dev/null)" = "120|0|done" ]
[ "$(sql -c "SELECT count(embedding) FROM notes")" = 120 ]
[ "$(sql -c "SELECT string_agg(detail, '; ') FROM embed_verify('notes') WHERE NOT ok")" = "" ]
[ "$(sql -c "SELECT state FROM embedding_backfill.runs")" = "done" ]

say "apt-get remove"
sql -c "DROP EXTENSION embedding_backfill"
apt-get -qq remove -y "$package" >/dev/null 2>&1
[ -z "$(find /usr/lib/postgresql /usr/share/postgresql -name 'embedding_backfill*')" ]

say "$package: all of it works"
