#!/bin/sh
# Chromium in a network of its own, where nothing changes: it gives up its requests whenever an interface of its machine comes or goes, as each instance that
# starts here has it do. test/dashboard/own-network.ts leads from there to the ports that it may reach.
if [ "$(id -u)" = 0 ]; then as=--net; else as='--net --map-root-user'; fi
exec unshare $as "$NODE" "$(dirname "$0")/own-network.ts" "$@"
