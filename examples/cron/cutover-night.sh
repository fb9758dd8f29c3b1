#!/bin/sh
# Runs one workflow from cron and prints what cron is to mail: the summary, and what to do about the exit code.
#
#     cutover-night.sh WORKFLOW
#
# The keys lie in a file that only this user can read (mode 0600), as two lines:
#     MONGODB_ATLAS_PUBLIC_API_KEY=…
#     MONGODB_ATLAS_PRIVATE_API_KEY=…
# They reach the program through its environment, so they are in no process list and in no crontab.
set -u
umask 077

workflow=${1:?usage: cutover-night.sh WORKFLOW}
config=${CUTOVER_CONFIG:-/etc/atlas-cutover/config.yaml}
keys=${CUTOVER_KEYS:-/etc/atlas-cutover/keys.env}
state=${CUTOVER_STATE:-/var/lib/atlas-cutover}
log=${CUTOVER_LOG:-/var/log/atlas-cutover/cutover.jsonl}

case $(stat -c %a "$keys") in
  600 | 400) ;;
  *) echo "$keys must be readable by its owner alone: chmod 600 $keys" >&2; exit 2 ;;
esac
set -a
# shellcheck source=/dev/null
. "$keys"
set +a

messages=$(mktemp)
trap 'rm -f "$messages"' EXIT

# A signal for this shell is meant for the program, which stops in order and is waited for; a second one stops it at once.
atlas-cutover run "$workflow" --yes --config "$config" --state-dir "$state" --log-file "$log" 2>"$messages" &
child=$!
trap 'kill -TERM "$child"' TERM
trap 'kill -INT "$child"' INT
wait "$child"
code=$?
while kill -0 "$child" 2>/dev/null; do
  wait "$child"
  code=$?
done

by_hand="sudo -u $(id -un) ${0%/*}/cutover-by-hand.sh"
run=$(sed -n 's/.*"run_id": "\([^"]*\)".*/\1/p' "$messages" | tail -n 1)
case $code in
  0) todo="Nothing to do." ;;
  1) todo="Look at the failures above. What failed before its cutover was requested: $by_hand resume $run --retry-failed" ;;
  2) todo="Nothing was sent. Correct what is named below; this shows all of it: $by_hand check $workflow" ;;
  3) todo="Some were not started. The next night goes on with them; this does it now, within the window: $by_hand resume $run" ;;
  4) todo="CALL SOMEBODY NOW: at least one cutover may have begun, and Atlas does not tell. Look at it in Atlas." ;;
  5) todo="Another process is at it, and nothing was started here. This shows which: $by_hand status" ;;
  6) todo="Atlas was not reached, or refused the keys. Nothing was cut over; start it again within the window." ;;
  130 | 143) todo="It was stopped. This goes on: $by_hand resume $run" ;;
  *) todo="The program ended in a way it should not. This is safe: $by_hand resume $run  Please report it." ;;
esac

echo
echo "Exit code $code. $todo"
if [ "$code" -ne 0 ]; then
  echo
  echo "The last messages (all of them are in $log):"
  tail -n 20 "$messages"
fi
exit "$code"
