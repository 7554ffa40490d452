/** Names and addresses of a platform's networks: slot N of its block is a /30, .1 the host's end of a veth pair, .2 the sandbox's. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { type Cidr, formatAddress, parseCidr, sizeOf } from './cidr.ts';

export const SLOT_BITS = 30;

export interface Names {
  namespace: string;
  /** Of the host's end of a pair: 15 characters at most with its number. */
  link: string;
  table: string;
}

export function namesOf(installation: string): Names {
  const short = createHash('sha256').update(installation).digest('hex').slice(0, 6);
  return { namespace: `cupola-${short}-`, link: `cu${short}-`, table: `cupola_${short}` };
}

export interface Place {
  slot: number;
  name: string;
  link: string;
  gateway: string;
  address: string;
}
export const placeIn =
  (block: Cidr, names: Names) =>
  (slot: number): Place => {
    const base = block.base + slot * sizeOf(SLOT_BITS);
    return {
      slot,
      name: `${names.namespace}${slot}`,
      link: `${names.link}${slot}`,
      gateway: formatAddress(base + 1),
      address: formatAddress(base + 2),
    };
  };

/** What makes the sandbox's end of the pair its network, inside. */
export const insideCommands = ({ gateway, address }: Pick<Place, 'gateway' | 'address'>): string[][] => [
  ['link', 'set', 'lo', 'up'],
  ['link', 'set', 'eth0', 'addrgenmode', 'none'],
  ['addr', 'add', `${address}/${SLOT_BITS}`, 'dev', 'eth0'],
  ['link', 'set', 'eth0', 'up'],
  ['route', 'add', 'default', 'via', gateway],
];

/** Of the network that has this address. */
export function gatewayOf(address: string): string {
  const parsed = parseCidr(`${address}/32`);
  assert(parsed !== null, 'addresses of networks are IPv4');
  return formatAddress(parsed.base - 1);
}
