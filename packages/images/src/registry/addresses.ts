/**
 * Where the platform's own processes may connect for a tenant who has named the place: to the public internet, and where the operator says besides (threats.md
 * 9). Asked of addresses, never of names: whoever dials looks the name up once, and dials what was judged.
 */
import { BlockList, isIPv6 } from 'node:net';

/** Networks that are not the public internet (IANA special-purpose registries), the cloud's metadata addresses among them. */
const PRIVATE = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
  ['::', 96],
  ['64:ff9b::', 32],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 9],
  ['ff00::', 8],
] as const;

/** Addresses and networks (`10.0.0.0/8`) as a list to check against. */
export function networks(list: readonly string[]): BlockList {
  const networks = new BlockList();
  for (const entry of list) {
    const [address = '', bits] = entry.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    if (bits === undefined) networks.addAddress(address, family);
    else networks.addSubnet(address, Number(bits), family);
  }
  return networks;
}

const NOT_PUBLIC = networks(PRIVATE.map(([address, bits]) => `${address}/${bits}`));

/** Whether the platform itself may dial that address for somebody who has named it. IPv4 in IPv6 clothes is judged as IPv4. */
export function mayReach(address: string, allowed: BlockList): boolean {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
  const family = isIPv6(mapped) ? 'ipv6' : 'ipv4';
  return allowed.check(mapped, family) || !NOT_PUBLIC.check(mapped, family);
}
