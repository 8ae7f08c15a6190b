# For a PostgreSQL that you have: make && sudo make install, with PG_CONFIG=/path/to/pg_config where it is not the one on PATH.
# All else needs no PostgreSQL: it makes its own under target/.

PG_CONFIG ?= pg_config
# Where none is named, all that the machine has.
PACKAGE_FOR = $(filter-out pg_config,$(PG_CONFIG))

.PHONY: all build install demo demo-stop test lint unit fuzz-short test-pg15 test-pg16 test-pg17 test-pg18 test-upgrade test-17 \
	test-big soak fuzz audit reliability bench package tarball dist package-test freeze clean help
.NOTPARALLEL:

# PGXN's client asks for all.
all: build

build:
	@scripts/extension.sh build "$(PG_CONFIG)"

install:
	@DESTDIR="$(DESTDIR)" scripts/extension.sh install "$(PG_CONFIG)"

demo:
	@API="$(API)" MIRROR="$(MIRROR)" demo/demo.sh

demo-stop:
	@demo/stop.sh

test: lint unit fuzz-short test-pg18 test-pg16 test-pg15 test-upgrade

lint:
	@scripts/lint.sh

unit:
	@scripts/unit.sh

test-pg15 test-pg16 test-pg17 test-pg18: test-pg%:
	@scripts/test.sh $*

reliability:
	@RELIABILITY=write scripts/test.sh 18

test-17: test-pg17

test-upgrade:
	@scripts/test-upgrade.sh

test-big:
	@EB_BIG=1000000 scripts/test.sh 18 big::

bench:
	@ONLY="$(ONLY)" BENCH_ROUNDS="$(BENCH_ROUNDS)" BENCH_SCALE="$(BENCH_SCALE)" scripts/bench.sh 18

package:
	@packaging/deb.sh $(PACKAGE_FOR)

tarball:
	@packaging/tarball.sh "$(PG_CONFIG)"

dist:
	@packaging/dist.sh

package-test:
	@packaging/test.sh

freeze:
	@scripts/freeze.sh

# Seconds for both targets.
FUZZ ?= 300

fuzz-short:
	@scripts/fuzz.sh short 30

fuzz:
	@scripts/fuzz.sh long $(FUZZ)

audit:
	@scripts/audit.sh

# Six minutes or so; each of the variables makes it longer, and EB_SEED draws other schedules.
soak:
	@EB_SCHEDULES="$${EB_SCHEDULES:-300}" EB_BATCHES="$${EB_BATCHES:-10000}" EB_SESSIONS="$${EB_SESSIONS:-1000}" \
		scripts/test.sh 18 schedules:: long_runs::

clean: demo-stop
	rm -rf $(realpath target/pg) target

help:
	@echo "make                 build for the PostgreSQL whose pg_config is on PATH, or PG_CONFIG=/path/to/pg_config"
	@echo "make install         copy what was built into it (PG_CONFIG, DESTDIR)"
	@echo "make demo            a private PostgreSQL 18 and a stand-in for Google's API: 488 rows get their vectors"
	@echo "                     (MIRROR=1: also in a ChromaDB, whose installation takes 500 MB and a minute or two)"
	@echo "make demo-stop       stop it and remove its data"
	@echo "make test            all that follows"
	@echo "make lint            formatting and lints; licences, duplicates and sources of the dependencies"
	@echo "make unit            tests that need no PostgreSQL"
	@echo "make fuzz-short      the readers of Google's answers, fed with nonsense for half a minute"
	@echo "make test-pg18       tests on private servers of one version; also test-pg16, test-pg15"
	@echo "make test-upgrade    from servers of 16 and 15 to 18 by pg_upgrade"
	@echo "make test-17         the tests in a chroot of Debian 13, which has 17 (only root can do that, not part of make test)"
	@echo "make test-big        a million rows: blocks, memory and threads stay flat (some minutes)"
	@echo "make soak            the long form of what make test tells of faults at random and of long runs (6 minutes;"
	@echo "                     longer with EB_SCHEDULES=3000, EB_BATCHES=100000, EB_SESSIONS=10000; EB_SEED=n for other faults)"
	@echo "make fuzz            the readers of answers for 5 minutes, or FUZZ=seconds, with cargo-fuzz and AddressSanitizer"
	@echo "make audit           known vulnerabilities of the dependencies; fetches RustSec's advisories from GitHub"
	@echo "make reliability     tests on 18 that write docs/reliability.md"
	@echo "make bench           how fast it is, see docs/benchmarks.md (a quarter of an hour; ONLY=ceiling,cancel for a part)"
	@echo "make package         a .deb for each of the distribution's PostgreSQLs that has its headers here (or PG_CONFIG)"
	@echo "make tarball         an archive of the built extension with a script that installs it (PG_CONFIG)"
	@echo "make dist            archives of the sources, the zip for PGXN"
	@echo "make package-test    installs and tries all of these (only root can do that)"
	@echo "make freeze          before a release: keep its install script for the tests of updates"
	@echo "make clean           remove target/, with the private servers"
