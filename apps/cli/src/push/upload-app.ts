/** Brings an app's files to the platform: only those that it does not have. */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import type { CloudClient } from '@cupola/client/cloud-client';
import { uploadPackage } from '@cupola/client/upload';
import {
  type ReadPackage,
  type ResourceMatch,
  readPackage,
  readResourceMatches,
} from '@cupola/contract/v3/client-reads';
import { PUSH_LIMITS } from '@cupola/model/limits';
import { CliError, usageError } from '../failures.ts';
import { writeZip } from '../files/archive.ts';
import { type Walked, type WalkedFile, walkSteps } from '../files/walk.ts';

/** What a push will send: known before the app exists, so that it can be found out meanwhile. */
export interface Prepared {
  readonly folder: string;
  /** Null when an archive is pushed as it is. */
  readonly walked: Walked | null;
  readonly matched: readonly ResourceMatch[];
}

export interface Uploaded {
  readonly package: ReadPackage;
  readonly files: number;
  readonly matchedFiles: number;
  /** Bytes of the zip that went over the line. */
  readonly sentBytes: number;
}

const ARCHIVES = new Set(['.zip', '.jar', '.war']);
const PROCESSING_LIMIT_MS = 15 * 60_000;

/** Walks, hashes, and asks which files the server has. */
export async function prepareUpload(client: CloudClient, folder: string): Promise<Prepared> {
  if (!statSync(folder).isDirectory()) {
    if (ARCHIVES.has(extname(folder).toLowerCase())) return { folder, walked: null, matched: [] };
    throw usageError(
      `${folder} is neither a folder nor a .zip, .jar or .war file.`,
      'Push the folder that the file lies in.',
    );
  }
  const { walked, matched } = await walkAndMatch(client, folder);
  if (walked.files.length + walked.links.length === 0)
    throw usageError(`${folder} has no files to push.`, 'Check -p, and what .cfignore leaves out.');
  return { folder, walked, matched };
}

/** Files that are asked for together: fewer than CF allows, so that the server looks while we walk on. */
const MATCH_FILES = Math.min(2_000, PUSH_LIMITS.resourceMatchMax);
/** Walking gives way to what is sent meanwhile. */
const WALK_TURN_MS = 5;

/** A checksum that the server names covers every file that has it. */
async function walkAndMatch(
  client: CloudClient,
  folder: string,
): Promise<{ walked: Walked; matched: ResourceMatch[] }> {
  const answers: Promise<Set<string>>[] = [];
  const offered: ResourceMatch[] = [];
  let asked = 0;
  let seen = 0;
  const ask = ({ files }: Walked, { least }: { least: number }): void => {
    for (; seen < files.length; seen++) {
      const file = files[seen];
      if (file !== undefined && file.sizeBytes > 0) offered.push(resourceOf(file));
    }
    for (; offered.length - asked >= least; asked += MATCH_FILES) {
      const answer = knownKeys(client, offered.slice(asked, asked + MATCH_FILES));
      answer.catch(() => undefined); // Thrown where all are awaited.
      answers.push(answer);
    }
  };
  const steps = walkSteps(folder);
  let step = steps.next();
  for (let turned = performance.now(); step.done !== true; step = steps.next()) {
    ask(step.value, { least: MATCH_FILES });
    if (performance.now() - turned < WALK_TURN_MS) continue;
    await new Promise(resolve => setImmediate(resolve));
    turned = performance.now();
  }
  ask(step.value, { least: 1 });
  const known = new Set((await Promise.all(answers)).flatMap(keys => [...keys]));
  return { walked: step.value, matched: offered.filter(one => known.has(keyOf(one))) };
}

function keyOf({ checksum, size_in_bytes }: ResourceMatch): string {
  return `${checksum.value} ${size_in_bytes}`;
}

async function knownKeys(client: CloudClient, resources: readonly ResourceMatch[]): Promise<Set<string>> {
  const answer = await client.read(readResourceMatches, {
    method: 'POST',
    path: '/v3/resource_matches',
    json: { resources },
  });
  return new Set((answer.resources ?? []).map(keyOf));
}

function resourceOf({ path, mode, sha1, sizeBytes }: WalkedFile): ResourceMatch {
  return { path, mode: mode.toString(8), checksum: { value: sha1 }, size_in_bytes: sizeBytes };
}

type Progress = (sentBytes: number, totalBytes: number) => void;

/** Makes the package, sends what is missing, waits until it is READY. */
export async function upload(
  client: CloudClient,
  appGuid: string,
  prepared: Prepared,
  progress: Progress,
): Promise<Uploaded> {
  const made = await client.read(readPackage, {
    method: 'POST',
    path: '/v3/packages',
    json: { type: 'bits', relationships: { app: { data: { guid: appGuid } } } },
  });
  const work = mkdtempSync(join(tmpdir(), 'cupola-push-'));
  const remove = (): void => rmSync(work, { recursive: true, force: true });
  process.once('exit', remove); // Ctrl-C in the middle leaves nothing behind.
  try {
    const zipFile = await zipOf(prepared, join(work, 'package.zip'));
    const sent = await uploadPackage(client, { packageGuid: made.guid, matched: prepared.matched, zipFile, progress });
    return {
      package: await ready(client, sent),
      files: prepared.walked?.files.length ?? 1,
      matchedFiles: prepared.matched.length,
      sentBytes: zipFile === null ? 0 : statSync(zipFile).size,
    };
  } finally {
    process.off('exit', remove);
    remove();
  }
}

/** Null when the server has everything. Links, empty files and empty folders are never matched, so they are always sent. */
async function zipOf({ folder, walked, matched }: Prepared, zipFile: string): Promise<string | null> {
  if (walked === null) return folder;
  const known = new Set(matched.map(({ path }) => path));
  const files = walked.files.filter(({ path }) => !known.has(path));
  if (files.length + walked.links.length + walked.emptyFolders.length === 0) return null;
  await writeZip(folder, { files, links: walked.links, emptyFolders: walked.emptyFolders }, zipFile);
  return zipFile;
}

const FINAL = ['READY', 'FAILED', 'EXPIRED'];

async function ready(client: CloudClient, sent: ReadPackage): Promise<ReadPackage> {
  const isDone = ({ state }: ReadPackage): boolean => FINAL.includes(state);
  const found = isDone(sent)
    ? sent
    : await client.poll({
        path: `/v3/packages/${sent.guid}`,
        schema: readPackage,
        what: 'the processing of the upload',
        limitMs: PROCESSING_LIMIT_MS,
        isDone,
      });
  if (found.state === 'READY') return found;
  throw new CliError(`The upload was refused: ${found.data?.error ?? found.state}`, {
    next: 'Mend what it names, and push again.',
  });
}
