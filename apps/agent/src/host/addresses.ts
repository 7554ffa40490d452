/** Where a copy answers: in a network namespace of its own on the port it asks for, or, sharing the host's network, on a port of its own on loopback. */
import { readFileSync } from 'node:fs';
import type { Egress } from '@cupola/sandbox/egress-chains';
import type { Networks } from '@cupola/sandbox/networks';
import type { Network } from '@cupola/sandbox/sandbox';
import { z } from 'zod';
import type { Ports } from './ports.ts';

export const copyAddress = z.object({
  host: z.string(),
  port: z.number().int(),
  /** The network namespace's name; null: the host's network. */
  network: z.string().nullable(),
});
export type CopyAddress = z.infer<typeof copyAddress>;

export interface Addresses {
  /**
   * @param wantedPort what the app listens on where it may choose.
   * @param egress what it may reach; on the host's network it reaches what the host does. Throws SandboxError when there is no address left.
   */
  lease(wantedPort: number, egress: Egress): Promise<{ address: CopyAddress; resolvConf: string }>;
  /** A copy that was adopted goes on using it. */
  take(address: CopyAddress): Promise<void>;
  release(address: CopyAddress): Promise<void>;
}

export function createAddresses({ networks, ports }: { networks: Networks | null; ports: Ports }): Addresses {
  return {
    lease: async (wantedPort, egress) => {
      if (networks === null) {
        const port = await ports.lease();
        return { address: { host: '127.0.0.1', port, network: null }, resolvConf: hostResolvers() };
      }
      const { name, address, resolvers } = await networks.lease(egress);
      return {
        address: { host: address, port: wantedPort, network: name },
        resolvConf: `${resolvers.map(one => `nameserver ${one}\n`).join('')}options timeout:2 attempts:2\n`,
      };
    },
    take: async ({ port, network }) => {
      if (network === null) ports.take(port);
      else await networks?.take(network);
    },
    release: async ({ port, network }) => {
      if (network === null) ports.release(port);
      else await networks?.release(network);
    },
  };
}

export function networkOf({ network, host }: CopyAddress): Network {
  return network === null ? { kind: 'host' } : { kind: 'namespace', name: network, address: host };
}

function hostResolvers(): string {
  try {
    return readFileSync('/etc/resolv.conf', 'utf8');
  } catch {
    return ''; // A machine without names: the app runs without them too.
  }
}
