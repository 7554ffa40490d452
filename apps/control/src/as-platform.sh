#!/bin/sh
# Runs a part under the platform's own uid. Started by the supervisor as root, inside a mount namespace made by unshare: the sources, the state folder, added
# stacks and Node.js may lie below a home that only root can enter (/root), so they are shown under /mnt, in this namespace only; nothing is left on the host.
# Arguments: UID SOURCES STATE NODE-FOLDER -- ARGUMENTS-OF-NODE ... A supervisor of before an upgrade starts this too: what came later is no argument.
set -eu
uid=$1 sources=$2 state=$3 node=$4
shift 5
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs /mnt
mkdir /mnt/sources /mnt/state /mnt/stacks /mnt/node
mount -o bind,ro,nosuid,nodev "$sources" /mnt/sources
mount --bind "$state" /mnt/state
if [ -n "${CUPOLA_STACKS_FROM:-}" ]; then mount -o bind,ro,nosuid,nodev "$CUPOLA_STACKS_FROM" /mnt/stacks; fi
mount -o bind,ro,nosuid,nodev "$node" /mnt/node
cd /mnt/state
exec setpriv --reuid "$uid" --regid "$uid" --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs -- /mnt/node/node "$@"
