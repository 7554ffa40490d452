/** In a network namespace of the test's own, with the rules that Docker makes (docs.docker.com, "Packet filtering and firewalls"). */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const AS_DOCKER = `set -e
mount -t tmpfs none /run
ip link set lo up
iptables --policy FORWARD DROP
iptables --new-chain DOCKER-USER
iptables --append FORWARD --jump DOCKER-USER
iptables --append DOCKER-USER --jump RETURN
exec "$@"`;

test.runIf(process.getuid?.() === 0)(
  'openNetworks() lets sandboxes out past a Docker engine that drops what is not its own, and takes that back',
  async () => {
    const fixture = join(import.meta.dirname, 'docker-firewall.fixture.ts');
    const inside = ['sh', '-c', AS_DOCKER, 'sh', process.execPath, fixture];
    const { stdout } = await promisify(execFile)('unshare', ['--net', '--mount', ...inside]);
    const { heard, before, after } = JSON.parse(stdout) as { heard: string; before: string[]; after: string[] };
    expect(heard).toMatch(/^you are/);
    expect(after).toEqual(before);
  },
);
