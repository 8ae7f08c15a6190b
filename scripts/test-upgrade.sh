#!/usr/bin/env bash
# Upgrades private servers of the older versions that can be had here, with the extension in use, to 18 by pg_upgrade.
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$root"

UPGRADE_FROM=
for version in 16 15; do
    status=0
    pg_config=$(tests/support/postgres.sh $version) || status=$?
    [ $status != 3 ] || [ "${CI:-}" = true ] || continue
    [ $status = 0 ] || exit $status
    scripts/extension.sh install "$pg_config"
    UPGRADE_FROM+=${UPGRADE_FROM:+:}$pg_config
done
export UPGRADE_FROM
scripts/test.sh 18 --ignored pg_upgrade::
