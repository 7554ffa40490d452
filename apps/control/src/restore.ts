/**
 * A platform out of a backup, on this machine or another: the same users, apps, routes, droplets and guids. What was so only where it came from is left
 * behind: which cell ran what. A data folder that holds a platform is never written over.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createZstdDecompress } from 'node:zlib';
import { openSqliteStore } from '@cupola/store/sqlite';
import { ABOUT_FILE, type AboutBackup, aboutBackup, endOf } from './backup.ts';
import { makeFolders, PlainError, readConfig, resolveConfig, type UpFlags, writeConfig } from './platform-config.ts';

export async function restoreBackup(data: string, file: string, flags: UpFlags): Promise<AboutBackup> {
  if (existsSync(join(data, 'config.json')))
    throw new PlainError(
      `${data} holds a platform already, which is not written over. Choose another folder with --data, or move that one away.`,
    );
  if (!existsSync(file)) throw new PlainError(`There is no ${file}.`);
  mkdirSync(data, { recursive: true, mode: 0o755 });
  const before = new Set(readdirSync(data));
  try {
    await unpack(file, data);
    const about = readAbout(data, file);
    makeFolders(data);
    await forgetCells(join(data, 'state', 'store.db'));
    adopt(data, flags);
    rmSync(join(data, ABOUT_FILE));
    return about;
  } catch (error) {
    // Half a platform would be started by the next `up`.
    for (const name of readdirSync(data))
      if (!before.has(name)) rmSync(join(data, name), { recursive: true, force: true });
    throw error;
  }
}

async function unpack(file: string, folder: string): Promise<void> {
  const tar = spawn('tar', ['-C', folder, '-xpf', '-', '--no-same-owner', '--no-overwrite-dir'], {
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  const ended = endOf(tar);
  ended.catch(() => undefined); // Awaited below.
  tar.stdin.on('error', () => undefined); // It has ended: its own word counts.
  try {
    await pipeline(createReadStream(file), createZstdDecompress(), readBy(tar.stdin));
  } catch {
    tar.kill();
    await ended.catch(() => undefined);
    throw new PlainError(`${file} is no backup of Cupola, or is damaged: it cannot be unpacked.`);
  }
  await ended;
}

/** tar ends at the archive's own end, while zeros still come behind it: those are read all the same, so that what is damaged is found. */
function readBy(reader: Writable): Writable {
  return new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      if (reader.writable) reader.write(chunk, () => done());
      else done();
    },
    final: done => {
      reader.end();
      done();
    },
  });
}

function readAbout(data: string, file: string): AboutBackup {
  try {
    return aboutBackup.parse(JSON.parse(readFileSync(join(data, ABOUT_FILE), 'utf8')));
  } catch {
    throw new PlainError(
      `${file} is no backup that this version of Cupola can read. It may be of a newer one: upgrade, then restore.`,
    );
  }
}

/** What was so where the backup was made; a token to join would be valid again that somebody has used since. */
const LEFT_BEHIND = [
  'copies',
  'placements',
  'placement_errors',
  'cell_heartbeats',
  'cells',
  'leases',
  'build_heartbeats',
  'join_tokens',
] as const;

/** Cells report anew what runs; watchers of another time list again. */
async function forgetCells(path: string): Promise<void> {
  const store = await openSqliteStore({ path });
  try {
    await store.note(async ({ db }) => {
      for (const table of LEFT_BEHIND) await db.deleteFrom(table).execute();
    });
    await store.newEpoch();
  } finally {
    await store.close();
  }
}

/** This user's and this machine's from now on, under another installation's name: the former one may still run beside it. */
function adopt(data: string, flags: UpFlags): void {
  const known = readConfig(data);
  if (known === null) throw new PlainError('The backup lacks its config.json.');
  writeConfig(data, { ...known, installation: randomUUID(), ownerUid: process.getuid?.() ?? 0 });
  writeConfig(data, resolveConfig(data, flags));
}
