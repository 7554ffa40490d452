/** Which files of a folder the server has already, of whatever push, by SHA-1 and size. */
import type { CloudClient } from '@cupola/client/cloud-client';
import { type ResourceMatch, readResourceMatches } from '@cupola/contract/v3/client-reads';
import { PUSH_LIMITS } from '@cupola/model/limits';
import { staysIn } from './changes.ts';
import type { PushedFolder } from './files/pushed-folder.ts';
import { type Walked, type WalkedFile, walkSteps } from './files/walk.ts';

/** Files that are asked for together: fewer than CF allows, so that the server looks while we walk on. */
const MATCH_FILES = Math.min(2_000, PUSH_LIMITS.resourceMatchMax);
/** Walking gives way to what is sent meanwhile. */
const WALK_TURN_MS = 5;
/** Changes of fewer bytes are sent without a question: it would take as long. */
const WORTH_ASKING_BYTES = 64 * 1024;

/** Walks and asks at once. Files that lie in the former package as they lie here are neither asked for nor answered. */
export async function walkAndMatch(
  client: CloudClient,
  folder: string,
  former: PushedFolder | null,
): Promise<{ walked: Walked; matched: ResourceMatch[] }> {
  const matching = startMatching(client);
  const stays = staysIn(former);
  let seen = 0;
  let staying = 0;
  let changedBytes = 0;
  const offer = ({ files }: Walked): void => {
    for (; seen < files.length; seen++) {
      const file = files[seen];
      if (file === undefined) continue;
      if (stays(file)) staying++;
      else {
        matching.offer(file);
        changedBytes += file.sizeBytes;
      }
    }
  };
  const steps = walkSteps(folder, former?.files ?? new Map());
  let step = steps.next();
  for (let turned = performance.now(); step.done !== true; step = steps.next()) {
    offer(step.value);
    if (performance.now() - turned < WALK_TURN_MS) continue;
    await new Promise(resolve => setImmediate(resolve));
    turned = performance.now();
  }
  offer(step.value);
  const matched = staying > 0 && changedBytes < WORTH_ASKING_BYTES ? [] : await matching.matched();
  return { walked: step.value, matched };
}

/** Asks for all of them. */
export function matchFiles(client: CloudClient, files: readonly WalkedFile[]): Promise<ResourceMatch[]> {
  const matching = startMatching(client);
  for (const file of files) matching.offer(file);
  return matching.matched();
}

interface Matching {
  /** Asks as soon as there are enough. */
  offer(file: WalkedFile): void;
  /** Asks for the rest. A checksum that the server names covers every file that has it. */
  matched(): Promise<ResourceMatch[]>;
}

function startMatching(client: CloudClient): Matching {
  const answers: Promise<Set<string>>[] = [];
  const offered: ResourceMatch[] = [];
  let asked = 0;
  const ask = (): void => {
    const answer = knownKeys(client, offered.slice(asked, asked + MATCH_FILES));
    answer.catch(() => undefined); // Thrown where all are awaited.
    answers.push(answer);
    asked = Math.min(asked + MATCH_FILES, offered.length);
  };
  return {
    offer: file => {
      if (file.sizeBytes > 0) offered.push(resourceOf(file));
      if (offered.length - asked >= MATCH_FILES) ask();
    },
    matched: async () => {
      if (offered.length > asked) ask();
      const known = new Set((await Promise.all(answers)).flatMap(keys => [...keys]));
      return offered.filter(one => known.has(keyOf(one)));
    },
  };
}

function keyOf({ checksum, size_in_bytes }: ResourceMatch): string {
  return `${checksum.value} ${size_in_bytes}`;
}

async function knownKeys(client: CloudClient, resources: readonly ResourceMatch[]): Promise<Set<string>> {
  const answer = await client.read(readResourceMatches, {
    method: 'POST',
    path: '/v3/resource_matches',
    isRepeatable: true,
    json: { resources },
  });
  return new Set((answer.resources ?? []).map(keyOf));
}

function resourceOf({ path, mode, sha1, sizeBytes }: WalkedFile): ResourceMatch {
  return { path, mode: mode.toString(8), checksum: { value: sha1 }, size_in_bytes: sizeBytes };
}
