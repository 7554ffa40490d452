#!/bin/sh
# Runs a part under the platform's own uid. Started by the supervisor as root, inside a mount namespace made by unshare: the sources, the state folder and
# Node.js may lie below a home that only root can enter (/root), so they are shown under /mnt, in this namespace only; nothing is left on the host.
# Arguments: UID SOURCES STATE NODE-FOLDER -- ARGUMENTS-OF-NODE ...
set -eu
uid=$1 sources=$2 state=$3 node=$4
shift 5
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs /mnt
mkdir /mnt/sources /mnt/state /mnt/node
mount --bind "$sources" /mnt/sources
mount -o remount,bind,ro,nosuid,nodev /mnt/sources
mount --bind "$state" /mnt/state
mount --bind "$node" /mnt/node
mount -o remount,bind,ro,nosuid,nodev /mnt/node
cd /mnt/state
exec setpriv --reuid "$uid" --regid "$uid" --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs -- /mnt/node/node "$@"
