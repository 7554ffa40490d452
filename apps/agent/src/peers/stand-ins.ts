/**
 * Addresses of this machine that stand for what is elsewhere, by keys. Kept on disk: for the next agent each stands for the same, since apps may remember what a
 * name led to. One that is free again is the last to be used again.
 */
import { z } from 'zod';
import { readSmallFile, writeSmallFile } from '../host/small-file.ts';

/** The index of the next to be given out, and whom each stands for. */
const file = z.object({ next: z.number().int().nonnegative(), known: z.array(z.tuple([z.string(), z.string()])) });

export interface StandIns {
  /** Of that key; null: none is left. */
  of(key: string): string | null;
  /** The key that it stands for. */
  keyOf(address: string): string | null;
  /** Frees those of all other keys. */
  keep(keys: ReadonlySet<string>): void;
  /** What it has given out is on disk afterwards. */
  write(): void;
}

/** @param addresses to be given out; those of before that are not among them count no more. */
export function openStandIns(path: string, addresses: readonly string[]): StandIns {
  const kept = readKept(path);
  const known = new Map(kept.known.filter(([, address]) => addresses.includes(address)));
  const keys = new Map([...known].map(([key, address]) => [address, key]));
  let { next } = kept;
  let written = '';
  const take = (key: string): string | null => {
    for (let tried = 0; tried < addresses.length; tried++) {
      const address = addresses[next++ % addresses.length];
      if (address === undefined || keys.has(address)) continue;
      known.set(key, address);
      keys.set(address, key);
      return address;
    }
    return null;
  };
  return {
    of: key => known.get(key) ?? take(key),
    keyOf: address => keys.get(address) ?? null,
    keep: wanted => {
      for (const [key, address] of [...known]) {
        if (wanted.has(key)) continue;
        known.delete(key);
        keys.delete(address);
      }
    },
    write: () => {
      const text = JSON.stringify({ next, known: [...known] } satisfies z.infer<typeof file>);
      if (text !== written) writeSmallFile(path, text);
      written = text;
    },
  };
}

/** Nothing where it is lost: apps ask for names again. */
function readKept(path: string): z.infer<typeof file> {
  try {
    return file.parse(JSON.parse(readSmallFile(path) ?? ''));
  } catch {
    return { next: 0, known: [] };
  }
}
