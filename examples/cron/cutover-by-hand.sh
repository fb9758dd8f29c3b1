#!/bin/sh
# Any command of the program with the program, config, keys and state directory of the nightly runs:
#
#     sudo -u atlas-cutover /opt/atlas-cutover/libexec/cutover-by-hand.sh status
#     sudo -u atlas-cutover /opt/atlas-cutover/libexec/cutover-by-hand.sh resume 20261128-000000-3f9a1c --retry-failed
set -eu
umask 077

PATH=${CUTOVER_BIN:-/opt/atlas-cutover/bin}:$PATH
config=${CUTOVER_CONFIG:-/etc/atlas-cutover/config.yaml}
keys=${CUTOVER_KEYS:-/etc/atlas-cutover/keys.env}
state=${CUTOVER_STATE:-/var/lib/atlas-cutover}

case $(stat -c %a "$keys") in
  600 | 400) ;;
  *) echo "$keys must be readable by its owner alone: chmod 600 $keys" >&2; exit 2 ;;
esac
set -a
# shellcheck source=/dev/null
. "$keys"
set +a
cd "$state" # where `sudo` was typed, this user may not look
exec atlas-cutover "${@:?usage: cutover-by-hand.sh COMMAND ...}" --config "$config" --state-dir "$state"
