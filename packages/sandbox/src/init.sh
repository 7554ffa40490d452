#!/bin/sh
# The first process of the app inside its sandbox. As pid 1 an app would ignore SIGTERM; here it is a child, and SIGTERM goes to all that run.
# Arguments: FOLDER COMMAND ...   The environment comes from a file: no secret in an argv, nothing of the app's in the environment of the tools before.
echo ok >&9
exec 9>&-
. /run/cupola/env
cd "$1" || exit 127
shift
trap 'kill -TERM -1 2>/dev/null' TERM INT
"$@" &
child=$!
while :; do
  wait "$child"
  code=$?
  kill -0 "$child" 2>/dev/null || break
done
exit "$code"
