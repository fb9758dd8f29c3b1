#!/bin/sh
# What people do today: xargs -P with curl --digest, three steps for each job. $1: base URL, $2: CSV of jobs.
# The key goes into a file that only its owner reads, so that no process list shows it.
set -eu
base=$1
netrc=$(mktemp)
trap 'rm -f "$netrc"' EXIT
host=$(printf '%s' "$base" | sed 's#^[a-z]*://\([^:/]*\).*#\1#')
printf 'machine %s login %s password %s\n' "$host" "$MONGODB_ATLAS_PUBLIC_API_KEY" "$MONGODB_ATLAS_PRIVATE_API_KEY" >"$netrc"
export base netrc
tail -n +2 "$2" | tr -d '\r' | xargs -P 100 -n 1 sh -c '
  IFS=, read -r name group id <<EOT
$1
EOT
  call() { curl --silent --digest --netrc-file "$netrc" --header "Accept: application/vnd.atlas.2023-01-01+json" "$@"; }
  job="$base/groups/$group/liveMigrations/$id"
  call "$job" >/dev/null
  call --request PUT "$job/cutover"
  while :; do
    sleep 2
    case $(call "$job") in *\"COMPLETE\"*) break ;; esac
  done' sh
