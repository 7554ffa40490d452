/**
 * Names of members' machines, for `lookup` of a connection. The system's resolver keeps one of Node.js's four threads while a name server is silent: 10 s for the
 * name of a container that has gone, where the engine asks name servers that this machine does not reach. A few dials there, and no other name is resolved
 * for a minute, nor a file read. So a name is asked for once at a time, and while the answer takes long, or where there is none, its former address counts:
 * whoever has come to that shows another certificate.
 */
import { type LookupAddress, promises } from 'node:dns';
import type { LookupFunction } from 'node:net';

interface Name {
  asked: Promise<readonly LookupAddress[]> | null;
  /** The newest answer; null: there was none yet. */
  found: readonly LookupAddress[] | null;
}

interface Resolving {
  resolve(name: string): Promise<readonly LookupAddress[]>;
  /** A name with a former address is waited for no longer than this. */
  patienceMs: number;
}

/** A name server that answers does so in much less (ours). */
const PATIENCE_MS = 500;

export function createLookup({ resolve, patienceMs }: Resolving): LookupFunction {
  const names = new Map<string, Name>();
  const ask = async (text: string, name: Name): Promise<readonly LookupAddress[]> => {
    try {
      name.found = await resolve(text);
    } catch (error) {
      if (name.found === null) throw error;
    } finally {
      name.asked = null;
    }
    return name.found ?? [];
  };
  const addressesOf = async (text: string): Promise<readonly LookupAddress[]> => {
    const name = names.get(text) ?? { asked: null, found: null };
    names.set(text, name);
    name.asked ??= ask(text, name);
    const { asked, found } = name;
    if (found === null) return asked;
    const patience = Promise.withResolvers<readonly LookupAddress[]>();
    const timer = setTimeout(() => patience.resolve(found), patienceMs);
    return Promise.race([asked, patience.promise]).finally(() => clearTimeout(timer));
  };
  return (text, { all, family }, callback) => {
    addressesOf(text).then(
      addresses => {
        const wanted = addresses.filter(found => (family !== 4 && family !== 6 ? true : found.family === family));
        const [first] = wanted;
        if (first === undefined) callback(new Error(`${text} has no such address`), []);
        else if (all === true) callback(null, wanted);
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, []),
    );
  };
}

/** One for the process, as its threads are. */
export const lookupMember = createLookup({
  resolve: name => promises.lookup(name, { all: true }),
  patienceMs: PATIENCE_MS,
});
