#!/bin/sh
# A `verify` hook: the application answers on its health URL, the variable `health_url` of the workflow.
# Exit code 0: it answers with 2xx. 75: not yet, so it is asked again until `verify_timeout` is over.
set -eu
if [ "$CUTOVER_REHEARSAL" = true ]; then
  echo "a rehearsal moves no application: not asked"
  exit 0
fi
curl --fail --silent --show-error --max-time 10 --output /dev/null -- "$CUTOVER_VAR_HEALTH_URL" || exit 75
