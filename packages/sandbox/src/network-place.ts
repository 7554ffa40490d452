/** Names and addresses of a platform's networks: slot N of its block is a /30, .1 the host's end of a veth pair, .2 the sandbox's. */
import { createHash } from 'node:crypto';
import { type Cidr, formatAddress, sizeOf } from './cidr.ts';

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
