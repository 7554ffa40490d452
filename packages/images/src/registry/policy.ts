/**
 * Which registries may be asked, and how. Who names an image names an address that the platform's own process dials: so a tenant's leads to the public
 * internet alone, by HTTPS; what lies elsewhere, or speaks plain HTTP, is the operator's to list (threats.md 9).
 */
import { isIP } from 'node:net';
import { mayReach, networks } from './addresses.ts';

export interface RegistryPolicy {
  /** `host` has its port, where it names one. */
  mayBePlain(host: string): boolean;
  /** Whether it may lie at that address. */
  mayLieAt(host: string, address: string): boolean;
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:|$)/;
const NOTHING = networks([]);

/** Whoever runs the platform asks what he likes; plain HTTP on this machine only, as Docker. */
export const OPERATORS: RegistryPolicy = {
  mayBePlain: host => LOOPBACK.test(host),
  mayLieAt: () => true,
};

/** `listed`: `HOST[:PORT]`, which may lie anywhere; `http://` before it: by plain HTTP too. On this machine that is so without a word. */
export function tenantsPolicy(listed: readonly string[]): RegistryPolicy {
  const hosts = listed.map(entry =>
    entry
      .replace(/^https?:\/\//, '')
      .replace(/\/+$/, '')
      .toLowerCase(),
  );
  const plain = listed.filter(entry => entry.startsWith('http://')).map(entry => entry.slice('http://'.length));
  return {
    mayBePlain: host =>
      hosts.includes(host) && (LOOPBACK.test(host) || plain.some(one => one.replace(/\/+$/, '') === host)),
    mayLieAt: (host, address) => hosts.includes(host) || mayReach(address, NOTHING),
  };
}

/** The address that a URL names by itself; null for a name, which is to be looked up. */
export function addressIn(hostname: string): string | null {
  const bare = hostname.replaceAll(/^\[|\]$/g, '');
  return isIP(bare) === 0 ? null : bare;
}
