/** Brings an app's files to the platform: only those that it does not have, and where it can start from the package of the last push, only what differs. */
import { hash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, extname, join } from 'node:path';
import type { CloudClient } from '@cupola/client/cloud-client';
import { CfApiError } from '@cupola/client/errors';
import { uploadPackage } from '@cupola/client/upload';
import { type ReadPackage, type ResourceMatch, readPackage } from '@cupola/contract/v3/client-reads';
import type { BaseOfChanges } from '@cupola/contract/v3/package';
import { type Base, baseOf } from './changes.ts';
import { usageError, WordedError } from './failures.ts';
import { writeZip } from './files/archive.ts';
import type { FolderMemory, FormerPackage } from './files/pushed-folder.ts';
import type { Walked, WalkedFile } from './files/walk.ts';
import { guessStart } from './guess-start.ts';
import { matchFiles, walkAndMatch } from './match-files.ts';

/** What a push will send: known before the app exists, so that it can be found out meanwhile. */
export interface Prepared {
  readonly folder: string;
  /** Null when an archive is pushed as it is. */
  readonly walked: Walked | null;
  /** The package to start from; null: what is sent is complete in itself. */
  readonly base: Base | null;
  /** Of the files that are not in the base. */
  readonly matched: readonly ResourceMatch[];
}

export interface Uploaded {
  readonly package: ReadPackage;
  readonly files: number;
  /** Files that the server had. */
  readonly matchedFiles: number;
  /** Bytes of the zip that went over the line. */
  readonly sentBytes: number;
}

/** @throws usage error for a folder with nothing in it: before anything is made for it. */
export function requireFiles(folder: string): void {
  if (!statSync(folder).isDirectory() || readdirSync(folder).length > 0) return;
  const mark = guessStart(dirname(folder)).language?.from;
  throw noFiles(
    folder,
    mark === undefined
      ? 'Go to the folder of your app, or name it with -p.'
      : `The folder above has a ${mark}: push from there, or with -p ..`,
  );
}

function noFiles(folder: string, next: string): WordedError {
  return usageError(`${folder} has no files to push.`, next);
}

const ARCHIVES = new Set(['.zip', '.jar', '.war']);
const PROCESSING_LIMIT_MS = 15 * 60_000;

/** Walks, hashes what has changed, and asks which of it the server has. */
export async function prepareUpload(client: CloudClient, folder: string, memory: FolderMemory): Promise<Prepared> {
  if (!statSync(folder).isDirectory()) {
    if (ARCHIVES.has(extname(folder).toLowerCase())) return { folder, walked: null, base: null, matched: [] };
    throw usageError(
      `${folder} is neither a folder nor a .zip, .jar or .war file.`,
      'Push the folder that the file lies in.',
    );
  }
  const former = memory.recall();
  const { walked, matched } = await walkAndMatch(client, folder, former);
  if (walked.files.length + walked.links.length === 0)
    throw noFiles(folder, 'Check -p, and what .cfignore leaves out.');
  return { folder, walked, base: baseOf(former, walked), matched };
}

interface Target {
  readonly appGuid: string;
  readonly memory: FolderMemory;
  progress(sentBytes: number, totalBytes: number): void;
}

/** Makes the package, sends what is missing, waits until it is READY, and remembers what it holds. */
export async function upload(client: CloudClient, prepared: Prepared, target: Target): Promise<Uploaded> {
  const made = await client.read(readPackage, {
    method: 'POST',
    path: '/v3/packages',
    isRepeatable: true,
    json: { type: 'bits', relationships: { app: { data: { guid: target.appGuid } } } },
  });
  const work = mkdtempSync(join(tmpdir(), 'cupola-push-'));
  const remove = (): void => rmSync(work, { recursive: true, force: true });
  process.once('exit', remove); // Ctrl-C in the middle leaves nothing behind.
  try {
    const { walked } = prepared;
    const sent = await send(client, prepared, { ...target, packageGuid: made.guid, work });
    const done = await ready(client, sent.answer);
    if (walked !== null) target.memory.remember(walked, startable(sent, target));
    return {
      package: done,
      files: walked?.files.length ?? 1,
      matchedFiles: walked === null ? 0 : walked.files.length - sent.files.length,
      sentBytes: sent.bytes,
    };
  } finally {
    process.off('exit', remove);
    remove();
  }
}

interface Sending extends Target {
  readonly packageGuid: string;
  /** Folder of its own. */
  readonly work: string;
}

interface Sent {
  readonly answer: ReadPackage;
  /** In the zip, in its order. */
  readonly files: readonly WalkedFile[];
  /** Of the zip. */
  readonly bytes: number;
}

/** What differs from the base, or everything when the server does not take that: it may have swept the base, or be another server now. */
async function send(client: CloudClient, prepared: Prepared, sending: Sending): Promise<Sent> {
  const { folder, walked, base, matched } = prepared;
  if (walked === null) {
    const answer = await uploadPackage(client, { ...sending, matched, zipFile: folder });
    return { answer, files: [], bytes: statSync(folder).size };
  }
  const all = { files: walked.files, links: walked.links, emptyFolders: walked.emptyFolders };
  if (base === null) return sendFiles(client, { ...sending, folder, content: all, matched, base: null });
  const changed = { ...all, files: base.files, emptyFolders: base.emptyFolders };
  try {
    if (base.package.appGuid === sending.appGuid)
      return await sendFiles(client, { ...sending, folder, content: changed, matched, base: base.named });
  } catch (error) {
    if (!(error instanceof CfApiError) || !REFUSALS.includes(error.status)) throw error;
  }
  return sendFiles(client, {
    ...sending,
    folder,
    content: all,
    matched: await matchFiles(client, walked.files),
    base: null,
  });
}

/** No such call, or no such base. */
const REFUSALS = [404, 422];

interface SentFiles extends Sending {
  readonly folder: string;
  readonly content: Pick<Walked, 'files' | 'links' | 'emptyFolders'>;
  readonly matched: readonly ResourceMatch[];
  readonly base: BaseOfChanges | null;
}

/** Without a zip when the server has everything. Links, empty files and empty folders are never matched, so they are sent where the base has them not. */
async function sendFiles(client: CloudClient, { folder, content, work, matched, ...target }: SentFiles): Promise<Sent> {
  const known = new Set(matched.map(({ path }) => path));
  const files = content.files.filter(({ path }) => !known.has(path));
  const isEmpty = files.length + content.links.length + content.emptyFolders.length === 0;
  const zipFile = isEmpty ? null : join(work, `${target.base === null ? 'all' : 'changes'}.zip`);
  if (zipFile !== null) await writeZip(folder, { ...content, files }, zipFile);
  const answer = await uploadPackage(client, { ...target, matched, zipFile });
  return { answer, files, bytes: zipFile === null ? 0 : statSync(zipFile).size };
}

/**
 * The package for the next push to start from; null where the server takes no changes, or where a file is not in it as it was hashed, since it changed before it
 * was sent: what was remembered of it would be wrong.
 */
function startable({ answer, files }: Sent, { appGuid }: Target): FormerPackage | null {
  const { checksum, sent } = answer.data ?? {};
  const sha1s = files.filter(({ sizeBytes }) => sizeBytes > 0).map(({ sha1 }) => sha1);
  if (typeof checksum?.value !== 'string' || sent?.value !== hash('sha256', sha1s.join(''))) return null;
  return { guid: answer.guid, checksum: checksum.value, appGuid };
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
  throw new WordedError(`The upload was refused: ${found.data?.error ?? found.state}`, {
    next: 'Mend what it names, and push again.',
  });
}
