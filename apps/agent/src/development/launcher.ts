/**
 * What stands between the init and the command of a development app, inside its sandbox: takes the changes that the agent lays before it, in order, and starts the
 * command anew where one asks for it. The command may end: the instance stays, and the next change starts it again.
 */

/** Where the agent lays changes: a folder of the agent's own, shown read-only. Below the home, so that a plain process has it too. */
export const CHANGES_INSIDE = '/home/vcap/changes';
/** In that folder: a FIFO, through which the launcher is told. */
export const TOLD = 'told';
/** Around the launcher's own words among the command's lines, with what no text has: ASCII's record separator. */
export const LAUNCHER_MARK = '\u001edevelopment\u001e';

/** The command is asked to end, and has so long before it is killed (ours: somebody waits for it). */
const END_S = 2;

/**
 * Arguments: the folder of changes, then the words of the command. One loop over what comes through the FIFO: `change` from the agent, `ended RUN CODE` from
 * what runs the command. That has a process group of its own, so that all that the command has started ends with it; it says which run it was, since the word
 * of one that was killed may come late. Changes are folders 1, 2, 3, each complete once it is there: `removed`, `restart`, `files`.
 */
export const DEVELOPMENT_LAUNCHER = `
changes=$1
shift
told=
group=
over=
applied=0
run=0
say() { printf '${LAUNCHER_MARK}%s\\n' "$*"; }
if [ ! -p "$changes/${TOLD}" ]; then
  echo 'A development app needs a sandbox: the changes cannot be reached from this process.' >&2
  exit 1
fi
exec {told}<>"$changes/${TOLD}"
leave() {
  over=1
  if [ -z "$group" ]; then exit 143; fi
  kill -TERM -- "-$group" 2>/dev/null
}
trap leave TERM INT
begin() {
  run=$((run + 1))
  set -m
  # Bash's own word on a command that a signal has ended is not the app's.
  ( trap : TERM INT; exec {errors}>&2 2>/dev/null; "$@" 2>&$errors {errors}>&- {told}>&-; echo "ended $run $?" >&$told ) &
  group=$!
  set +m
}
reap() {
  kill -KILL -- "-$group" 2>/dev/null
  wait "$group" 2>/dev/null
  group=
}
end() {
  if [ -z "$group" ]; then return; fi
  kill -TERM -- "-$group" 2>/dev/null
  while read -r -t ${END_S} word which code <&$told; do
    if [ "$word $which" = "ended $run" ]; then break; fi
  done
  reap
}
is_there() { [ -d "$changes/$((applied + 1))" ]; }
asks_for_restart() {
  local at=$((applied + 1))
  while [ -d "$changes/$at" ]; do
    if [ -e "$changes/$at/restart" ]; then return 0; fi
    at=$((at + 1))
  done
  return 1
}
take() {
  restart=
  while is_there; do
    local change="$changes/$((applied + 1))" failed=
    if [ -f "$change/removed" ]; then
      while IFS= read -r path; do rm -rf -- "./$path" || failed=1; done <"$change/removed"
    fi
    # Into the files that are there: who watches one (node --watch) would not see another in its place. One that runs, or may not be written, is replaced.
    cp -af -- "$change/files/." . || failed=1
    if [ -e "$change/restart" ]; then restart=1; fi
    applied=$((applied + 1))
    if [ -n "$failed" ]; then say "incomplete $applied"; fi
  done
}
take
begin "$@"
say "applied $applied"
while :; do
  read -r word which code <&$told || continue
  if [ "$word" = change ] && is_there; then
    if asks_for_restart; then end; fi
    take
    # One that came meanwhile may ask for it.
    if [ -z "$group" ] || [ -n "$restart" ]; then
      end
      if [ -n "$over" ]; then exit 143; fi
      begin "$@"
      say "restarted $applied"
    else
      say "applied $applied"
    fi
  elif [ "$word $which" = "ended $run" ] && [ -n "$group" ]; then
    reap
    if [ -n "$over" ]; then exit 143; fi
    say "ended $code"
  fi
done
`;
