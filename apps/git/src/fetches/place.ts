/**
 * Where a repository's address leads: looked up here, judged, and what was judged is what git dials. So neither a name that changes its mind nor a redirect leads
 * to the platform's own network (threats.md 9). Hosts that lie there, or speak plain HTTP, are the operator's to list.
 */
import { lookup } from 'node:dns/promises';
import { addressIn, type RegistryPolicy } from '@cupola/images/registry/policy';
import { WordedError } from '@cupola/push/failures';

export interface Place {
  readonly url: URL;
  readonly port: number;
  /** All that may be dialled. */
  readonly addresses: readonly string[];
}

const allow = (entry: string): string => `The operator can allow it: CUPOLA_GIT_HOSTS=${entry}`;

/** @throws WordedError when there is no such host, or it may not be asked. */
export async function findPlace(address: string, policy: RegistryPolicy): Promise<Place> {
  const url = new URL(address);
  const isPlain = url.protocol === 'http:';
  if (isPlain && !policy.mayBePlain(url.host))
    throw new WordedError(`${url.host} would be asked by plain HTTP.`, { next: allow(`http://${url.host}`) });
  const isSsh = url.protocol === 'ssh:';
  if (!isPlain && !isSsh && url.protocol !== 'https:')
    throw new WordedError(`${url.protocol}// is no way to a repository.`);
  const own = addressIn(url.hostname);
  const found = own === null ? await addressesOf(url.hostname) : [own];
  const addresses = found.filter(one => policy.mayLieAt(url.host, one));
  if (addresses.length === 0)
    throw new WordedError(`${url.host} has no public address, so it is not asked.`, { next: allow(url.host) });
  return { url, port: Number(url.port) || (isSsh ? 22 : isPlain ? 80 : 443), addresses };
}

async function addressesOf(host: string): Promise<string[]> {
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address);
  } catch {
    throw new WordedError(`There is no host ${host}.`, { next: 'Mend the address: cupola git:webhook APP --repo URL' });
  }
}
