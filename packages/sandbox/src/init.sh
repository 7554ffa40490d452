#!/bin/sh
# The first process of the app inside its sandbox. As pid 1 an app would ignore SIGTERM; here it is a child, and SIGTERM goes to all that run.
# Arguments: SCOPE ENVIRONMENT FOLDER COMMAND ...
# SCOPE: whom a SIGTERM goes to, as kill takes it: -1 all in this pid namespace, 0 the process group.
# ENVIRONMENT: a file that sets it. Nothing of the app's is in the environment of the tools before, no secret in an argv.
cupola_scope=$1
cupola_child=
cupola_signalled=
cupola_terminate() {
  # Between fork and exec the child is a shell that a signal would not reach: it has our command line until then.
  cupola_own=
  cupola_its=
  read -r cupola_own </proc/self/cmdline || :
  while { read -r cupola_its <"/proc/$cupola_child/cmdline" || :; } 2>/dev/null && [ "$cupola_its" = "$cupola_own" ]; do :; done
  trap '' TERM INT
  kill -TERM "$cupola_scope" 2>/dev/null
  trap cupola_forward TERM INT
}
cupola_forward() {
  cupola_signalled=1
  if [ -n "$cupola_child" ]; then cupola_terminate; fi
}
trap cupola_forward TERM INT
echo ok >&3
exec 3>&-
cd "$3" || exit 127
unset PWD OLDPWD HOME
. "$2"
# Names that no shell can assign, `spring.profiles.active`, are set on the way by perl.
if [ -e "$2.more" ] && command -v perl >/dev/null; then
  cupola_more=$2.more
  shift 3
  set -- perl -e 'open(F, "<", shift); { local $/ = "\0"; while (<F>) { chomp; my ($n, $v) = split /=/, $_, 2; $ENV{$n} = $v } } close F; exec { $ARGV[0] } @ARGV' "$cupola_more" "$@"
else
  shift 3
fi
if [ -n "$cupola_signalled" ]; then exit 143; fi
"$@" &
cupola_child=$!
if [ -n "$cupola_signalled" ]; then cupola_terminate; fi
while :; do
  cupola_signalled=
  wait "$cupola_child"
  cupola_code=$?
  if [ -z "$cupola_signalled" ]; then break; fi
  if kill -0 "$cupola_child" 2>/dev/null; then continue; fi
  # It has ended. dash 0.5.12 tells of the signal though it has its status too, which it then gives when asked again; 127: that was the status.
  wait "$cupola_child"
  cupola_again=$?
  if [ "$cupola_again" -ne 127 ]; then cupola_code=$cupola_again; fi
  break
done
exit "$cupola_code"
