/**
 * What a backup holds, and taking one while the platform runs. The store is copied first, as it is at one moment; then every blob is linked, which takes
 * milliseconds (from S3 they are fetched). Blobs never change and are swept only when no row has named them for an hour, so all that the copied rows name is there; it is looked up
 * all the same, and taken again if not. Left out: what can be made anew (instances, layers, caches), the apps' logs, and, unless they are asked for, the root
 * filesystems of added stacks, which are larger than all the rest: what they were made of is told.
 */
import { spawn } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  cpSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pipeline } from 'node:stream/promises';
import { createZstdCompress } from 'node:zlib';
import type { BlobStore } from '@cupola/blobs/blob-store';
import { openFileBlobs } from '@cupola/blobs/files';
import { readStacks } from '@cupola/images/rootfs/installed-stacks';
import { copyStore } from '@cupola/store/copy-store';
import { backupTo, openSqliteStore } from '@cupola/store/sqlite';
import { z } from 'zod';
import { blobsPlace, openBlobsAt } from './open-blobs.ts';
import { EMBEDDED, openStoreAsItIs, storePlace } from './open-store.ts';
import { PlainError, stacksFolder } from './platform-config.ts';
import { VERSION } from './version.ts';

const BACKUP_FORMAT = 1;
/** First in the archive: what it is, before anything of it is believed. */
export const ABOUT_FILE = 'cupola-backup.json';
export const aboutBackup = z.object({
  format: z.literal(BACKUP_FORMAT),
  version: z.string(),
  madeAt: z.string(),
  apps: z.number().int(),
  users: z.number().int(),
  /** Those that were added. A backup of before they were told has none. */
  stacks: z
    .array(
      z.object({
        name: z.string(),
        /** What it was made of; null: it was added before that was kept. */
        source: z.string().nullable(),
        /** That push onto it. */
        apps: z.number().int(),
        isCarried: z.boolean(),
      }),
    )
    .default([]),
});
export type AboutBackup = z.infer<typeof aboutBackup>;

/** Of `state`, beside store and blobs: sealing keys, certificates. */
const STATE_KEPT = ['keys', 'tls'];
const PLATFORM_KEPT = ['config.json', 'admin-password'];
const TRIES_MAX = 3;

/** Writes the backup of the platform in `data` to `file`, which is there whole or not at all. Returns what it holds and its size. */
export async function takeBackup(
  data: string,
  file: string,
  { withStacks }: { withStacks: boolean },
): Promise<AboutBackup & { sizeBytes: number }> {
  const stacks = readStacks(stacksFolder(data));
  // Beside the blobs, so that they can be linked.
  const work = join(data, `backup-${process.pid}`);
  try {
    mkdirSync(join(work, 'state'), { recursive: true, mode: 0o700 });
    await copyState(join(data, 'state'), join(work, 'state'));
    for (const name of PLATFORM_KEPT)
      if (existsSync(join(data, name))) copyFileSync(join(data, name), join(work, name));
    const about: AboutBackup = {
      format: BACKUP_FORMAT,
      version: VERSION,
      madeAt: new Date().toISOString(),
      ...count(join(work, 'state', 'store.db')),
      stacks: stacks.map(({ name, source = null }) => ({
        ...{ name, source, isCarried: withStacks },
        apps: countApps(join(work, 'state', 'store.db'), name),
      })),
    };
    writeFileSync(join(work, ABOUT_FILE), `${JSON.stringify(about)}\n`);
    // Read where they lie: a folder of a stack never changes.
    const carried = withStacks && stacks.length > 0 ? ['index.json', ...stacks.map(({ folder }) => folder)] : [];
    await pack(work, file, { data, names: carried.map(name => join('stacks', name)) });
    return { ...about, sizeBytes: statSync(file).size };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function copyState(from: string, to: string): Promise<void> {
  const store = join(to, 'store.db');
  for (let tried = 1; ; tried++) {
    rmSync(store, { force: true });
    await copyOfStore(from, store);
    await takeBlobs(from, to);
    const missing = await missingBlobs(store, join(to, 'blobs'));
    if (missing.length === 0) break;
    if (tried === TRIES_MAX)
      throw new PlainError(
        `${missing.length} files of apps are not where they should be (the first: ${missing[0]}), so no whole backup can be made. Push those apps again; ./cupola doctor tells more.`,
      );
  }
  for (const name of STATE_KEPT)
    if (existsSync(join(from, name))) cpSync(join(from, name), join(to, name), { recursive: true });
}

/** As SQLite's file, whatever the platform's own is: what is restored has no other server than this machine. */
async function copyOfStore(state: string, file: string): Promise<void> {
  if (storePlace(state) === EMBEDDED) return backupTo(join(state, 'store.db'), file);
  const source = await openStoreAsItIs(state);
  try {
    const target = await openSqliteStore({ path: file });
    await copyStore(source, target).finally(() => target.close());
  } finally {
    await source.close();
  }
}

/** Those of the data folder, and those that the copied store names and another place has. */
async function takeBlobs(from: string, to: string): Promise<void> {
  const places = Object.values(blobsPlace(from)).filter(place => place !== null);
  mkdirSync(join(to, 'blobs'), { recursive: true });
  if (places.includes(EMBEDDED)) linkAll(join(from, 'blobs'), join(to, 'blobs'));
  for (const place of places.filter(one => one !== EMBEDDED)) {
    const cache = mkdtempSync(join(tmpdir(), 'cupola-backup-'));
    try {
      await using opened = await openBlobsAt(cache, place);
      await fetchBlobs(opened.blobs, to);
    } finally {
      rmSync(cache, { recursive: true, force: true });
    }
  }
}

async function fetchBlobs(source: BlobStore, to: string): Promise<void> {
  const folder = join(to, 'blobs');
  const target = openFileBlobs({ folder });
  for (const digest of await missingBlobs(join(to, 'store.db'), folder))
    if ((await source.stat(digest)) !== null)
      await target.put(await source.openVerified(digest), { expectedDigest: digest });
}

/** Every finished blob; where the file system has no links they are copied. */
function linkAll(from: string, to: string): void {
  for (const part of readdirSync(from).filter(name => /^[0-9a-f]{2}$/.test(name))) {
    mkdirSync(join(to, part), { recursive: true });
    for (const name of readdirSync(join(from, part))) {
      const target = join(to, part, name);
      if (existsSync(target)) continue;
      try {
        linkSync(join(from, part, name), target);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'ENOENT') continue; // Swept at this moment: nothing names it.
        copyFileSync(join(from, part, name), target);
      }
    }
  }
}

/** Digests that packages and droplets of the copied store name, and that are not there. */
async function missingBlobs(store: string, folder: string): Promise<string[]> {
  const blobs = openFileBlobs({ folder });
  const missing: string[] = [];
  for (const digest of namedBlobs(store)) if ((await blobs.stat(digest)) === null) missing.push(digest);
  return missing;
}

function namedBlobs(store: string): Set<string> {
  using database = new DatabaseSync(store, { readOnly: true });
  const packages = database.prepare("select digest from packages where state = 'READY' and digest is not null").all();
  const droplets = database.prepare("select layers_json from droplets where state = 'STAGED'").all();
  const layers = droplets.flatMap(({ layers_json }) => JSON.parse(String(layers_json)) as { digest: string }[]);
  return new Set([...packages.map(({ digest }) => String(digest)), ...layers.map(({ digest }) => digest)]);
}

function count(store: string): { apps: number; users: number } {
  using database = new DatabaseSync(store, { readOnly: true });
  const rows = (table: 'apps' | 'users'): number =>
    Number(database.prepare(`select count(*) as rows from ${table}`).get()?.rows ?? 0);
  return { apps: rows('apps'), users: rows('users') };
}

function countApps(store: string, stack: string): number {
  using database = new DatabaseSync(store, { readOnly: true });
  return Number(database.prepare('select count(*) as apps from apps where stack = ?').get(stack)?.apps ?? 0);
}

/** A tar, compressed, readable by its owner alone: it holds keys and passwords. Durable when it resolves. */
async function pack(folder: string, file: string, more: { data: string; names: readonly string[] }): Promise<void> {
  const part = `${file}.part`;
  const fd = openSync(part, 'w', 0o600);
  try {
    const names = [ABOUT_FILE, ...readdirSync(folder).filter(name => name !== ABOUT_FILE)];
    const besides = more.names.length === 0 ? [] : ['-C', more.data, ...more.names];
    const tar = spawn('tar', ['-C', folder, '-cf', '-', ...names, ...besides], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = endOf(tar);
    const { createWriteStream } = await import('node:fs');
    await pipeline(tar.stdout, createZstdCompress(), createWriteStream(part, { fd, autoClose: false }));
    await ended;
    fsyncSync(fd);
    renameSync(part, file);
    syncFolder(dirname(file));
  } catch (error) {
    rmSync(part, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** Rejects with its own words when it fails. */
export function endOf(child: ReturnType<typeof spawn>): Promise<void> {
  return new Promise((resolve, reject) => {
    let complaint = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      complaint += text;
    });
    child.on('error', reject);
    child.on('close', code => (code === 0 ? resolve() : reject(new PlainError(`tar failed: ${complaint.trim()}`))));
  });
}

function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  fsyncSync(fd);
  closeSync(fd);
}
