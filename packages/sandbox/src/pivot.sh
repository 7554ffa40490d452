#!/bin/sh
# The util-linux rung's last steps, as pid 1 of the new pid namespace: proc and dev, the new root, the app's uid.
# Arguments: ROOT HOSTNAME UID-OR-DASH COMMAND ...
set -eu
root=$1 name=$2 uid=$3
shift 3
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t tmpfs -o nosuid,mode=755,size=64k tmpfs "$root/dev"
for device in null zero full random urandom tty; do
  : >"$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/shm"
mount -t tmpfs -o nosuid,nodev,mode=1777,size=64m tmpfs "$root/dev/shm"
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/0 "$root/dev/stdin"
ln -s /proc/self/fd/1 "$root/dev/stdout"
ln -s /proc/self/fd/2 "$root/dev/stderr"
hostname "$name" 2>/dev/null || true
cd "$root"
mkdir -p .old
pivot_root . .old
umount -l /.old
rmdir /.old
mount -o remount,ro,nosuid,nodev / 2>/dev/null || true
if [ "$uid" = - ]; then
  exec setpriv --pdeathsig KILL --bounding-set=-all --inh-caps=-all --no-new-privs -- "$@"
fi
exec setpriv --pdeathsig KILL --reuid "$uid" --regid "$uid" --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs -- "$@"
