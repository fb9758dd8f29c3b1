#!/bin/sh
# Reads a workflow and each of its jobs at Atlas (GETs only), for a look before the night; cron mails it.
#
#     cutover-look.sh WORKFLOW
set -eu
workflow=${1:?usage: cutover-look.sh WORKFLOW}
set -a
# shellcheck source=/dev/null
. "${CUTOVER_KEYS:-/etc/atlas-cutover/keys.env}"
set +a
exec atlas-cutover plan "$workflow" --online --config "${CUTOVER_CONFIG:-/etc/atlas-cutover/config.yaml}"
