/** Which files of a push the platform has already, of whatever push, by SHA-1 and size: only the others are sent. As the CLIs do it. */
import { type ResourceMatch, readResourceMatches } from '@cupola/contract/v3/client-reads';
import { PUSH_LIMITS } from '@cupola/model/limits';
import { read } from '../data/http.ts';
import { modeOf } from './file-mode.ts';
import type { ChosenFile } from './read-files.ts';

/** Less than that is sent sooner than asked about. */
const WORTH_ASKING_BYTES = 64 * 1_024;
/** A browser hashes a file whole, in memory; of larger ones there are few. */
const HASHED_MAX_BYTES = 256 * 1_024 * 1_024;
const AT_ONCE = 8;
const keyOf = ({ checksum, size_in_bytes }: ResourceMatch): string =>
  `${checksum.value.toLowerCase()}/${size_in_bytes}`;

/** None over plain HTTP from another machine, where browsers hash nothing: everything is sent then. @throws ApiError */
export async function matchFiles(files: readonly ChosenFile[], signal: AbortSignal): Promise<ResourceMatch[]> {
  // Empty files are nobody's: they are always sent.
  const wanted = files.filter(({ file }) => file.size > 0 && file.size <= HASHED_MAX_BYTES);
  const bytes = wanted.reduce((sum, { file }) => sum + file.size, 0);
  if (globalThis.crypto.subtle === undefined || bytes < WORTH_ASKING_BYTES) return [];
  const matched: ResourceMatch[] = [];
  for (let from = 0; from < wanted.length; from += PUSH_LIMITS.resourceMatchMax) {
    const offered = await resourcesOf(wanted.slice(from, from + PUSH_LIMITS.resourceMatchMax), signal);
    const call = { method: 'POST' as const, json: { resources: offered }, signal };
    const answer = await read(readResourceMatches, '/v3/resource_matches', call);
    const known = new Set((answer.resources ?? []).map(keyOf));
    matched.push(...offered.filter(one => known.has(keyOf(one))));
  }
  return matched;
}

async function resourcesOf(files: readonly ChosenFile[], signal: AbortSignal): Promise<ResourceMatch[]> {
  const resources: ResourceMatch[] = [];
  for (let at = 0; at < files.length; at += AT_ONCE) {
    signal.throwIfAborted();
    resources.push(...(await Promise.all(files.slice(at, at + AT_ONCE).map(resourceOf))));
  }
  return resources;
}

async function resourceOf({ path, file }: ChosenFile): Promise<ResourceMatch> {
  const bytes = await file.arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-1', bytes));
  return {
    path,
    mode: modeOf(path, new Uint8Array(bytes)).toString(8),
    checksum: { value: [...digest].map(byte => byte.toString(16).padStart(2, '0')).join('') },
    size_in_bytes: file.size,
  };
}
