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
import { type Walked, type WalkedFile, walkFolder } from '../files/walk.ts';

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
  const walked = walkFolder(folder);
  if (walked.files.length + walked.links.length === 0)
    throw usageError(`${folder} has no files to push.`, 'Check -p, and what .cfignore leaves out.');
  return { folder, walked, matched: await match(client, walked.files) };
}

/** In chunks of 5,000, as CF allows. A checksum that the server names covers every file that has it. */
async function match(client: CloudClient, files: readonly WalkedFile[]): Promise<ResourceMatch[]> {
  const offered = files.filter(({ sizeBytes }) => sizeBytes > 0).map(resourceOf);
  const chunks = Array.from({ length: Math.ceil(offered.length / PUSH_LIMITS.resourceMatchMax) }, (_, at) =>
    offered.slice(at * PUSH_LIMITS.resourceMatchMax, (at + 1) * PUSH_LIMITS.resourceMatchMax),
  );
  const known = new Set<string>();
  for (const resources of chunks) {
    const answer = await client.read(readResourceMatches, {
      method: 'POST',
      path: '/v3/resource_matches',
      json: { resources },
    });
    for (const { checksum, size_in_bytes } of answer.resources ?? []) known.add(`${checksum.value} ${size_in_bytes}`);
  }
  return offered.filter(({ checksum, size_in_bytes }) => known.has(`${checksum.value} ${size_in_bytes}`));
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
