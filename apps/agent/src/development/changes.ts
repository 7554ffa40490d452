/**
 * Changes of development apps on this cell, laid before the launcher of each instance (`launcher.ts`) in their order, each whole or not there. They stay for as
 * long as the instance: the launcher of one that was adopted goes on where it was.
 *
 *     development/SANDBOX/told    the FIFO through which the launcher hears of one
 *     development/SANDBOX/N       change N: `removed`, `restart`, `files`
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, constants, existsSync, mkdirSync, openSync, readdirSync, renameSync, writeSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { untar } from '@cupola/archive/untar';
import type { PlacementItem } from '@cupola/contract/internal';
import { SandboxError } from '@cupola/sandbox/sandbox';
import type { Logger } from 'pino';
import type { LayerSource } from '../host/layer-source.ts';
import { hashed } from '../host/layers.ts';
import { backoff, pause } from '../pause.ts';
import { TOLD } from './launcher.ts';

export type Change = NonNullable<PlacementItem['changes']>[number];

export interface Changes {
  /** The folder of an instance that is about to start, with all of these in it. @throws SandboxError when one cannot be had. */
  prepare(sandboxGuid: string, changes: readonly Change[], ownerUid: number | null): Promise<string>;
  /** Lays out what is new of these, and tells the launcher; what fails is tried again. */
  bring(sandboxGuid: string, changes: readonly Change[], ownerUid: number | null): void;
  /** What an instance has taken need not lie here any more; that it was there stays known. */
  taken(sandboxGuid: string, upTo: number): void;
  /** Of an instance that has ended. */
  remove(sandboxGuid: string): Promise<void>;
  /** Of instances that nobody knows. */
  removeOthers(known: ReadonlySet<string>): Promise<void>;
}

interface Deps {
  folder: string;
  fetch: LayerSource['fetch'];
  log: Logger;
}

interface Bringing {
  wanted: readonly Change[];
  isUnderWay: boolean;
  over: AbortController;
}

export function openChanges({ folder, fetch, log }: Deps): Changes {
  const root = join(folder, 'development');
  mkdirSync(root, { recursive: true, mode: 0o700 });
  const bringing = new Map<string, Bringing>();
  const place = (sandboxGuid: string): string => join(root, encodeURIComponent(sandboxGuid));

  const layOutAll = async (into: string, changes: readonly Change[], ownerUid: number | null): Promise<void> => {
    for (const change of changes) {
      if (existsSync(join(into, String(change.sequence)))) continue;
      await layOut(fetch, into, { change, ownerUid });
      tell(join(into, TOLD));
    }
  };
  const bringAll = async (sandboxGuid: string, state: Bringing, ownerUid: number | null): Promise<void> => {
    const into = place(sandboxGuid);
    for (let failures = 0, done: readonly Change[] = []; done !== state.wanted && !state.over.signal.aborted; )
      try {
        const { wanted } = state;
        await layOutAll(into, wanted, ownerUid);
        // Of those that a former agent has laid out and not told of, too.
        tell(join(into, TOLD));
        done = wanted;
        failures = 0;
      } catch (error) {
        if (failures === 0) log.warn({ err: error, sandbox: sandboxGuid }, 'a change did not reach a development app');
        await pause(backoff(failures++), state.over.signal);
      }
  };

  return {
    prepare: async (sandboxGuid, changes, ownerUid) => {
      const into = place(sandboxGuid);
      try {
        await rm(into, { recursive: true, force: true });
        mkdirSync(into, { mode: 0o755 });
        // By the program: Node.js makes none. Anybody's, since the folder around it is ours alone.
        await promisify(execFile)('mkfifo', ['-m', '666', join(into, TOLD)]);
        await layOutAll(into, changes, ownerUid);
        return into;
      } catch (error) {
        await rm(into, { recursive: true, force: true });
        throw new SandboxError(
          `a change of the development app cannot be used: ${(error as Error).message}. Push it anew.`,
          {
            cause: error,
          },
        );
      }
    },
    bring: (sandboxGuid, wanted, ownerUid) => {
      const isFirst = !bringing.has(sandboxGuid);
      const state = bringing.get(sandboxGuid) ?? { wanted, isUnderWay: false, over: new AbortController() };
      state.wanted = wanted;
      bringing.set(sandboxGuid, state);
      const newest = wanted.at(-1)?.sequence ?? 0;
      if (state.isUnderWay || newest === 0) return;
      if (!isFirst && existsSync(join(place(sandboxGuid), String(newest)))) return;
      state.isUnderWay = true;
      void bringAll(sandboxGuid, state, ownerUid).finally(() => {
        state.isUnderWay = false;
      });
    },
    taken: (sandboxGuid, upTo) => {
      const into = place(sandboxGuid);
      void removeFiles(into, upTo).catch(error =>
        log.warn({ err: error, sandbox: sandboxGuid }, 'changes that were taken stay on the disk'),
      );
    },
    remove: async sandboxGuid => {
      bringing.get(sandboxGuid)?.over.abort();
      bringing.delete(sandboxGuid);
      await rm(place(sandboxGuid), { recursive: true, force: true });
    },
    removeOthers: async known => {
      for (const name of readdirSync(root))
        if (!known.has(decodeURIComponent(name))) await rm(join(root, name), { recursive: true, force: true });
    },
  };
}

async function removeFiles(into: string, upTo: number): Promise<void> {
  if (!existsSync(into)) return; // The instance has just ended.
  for (const name of readdirSync(into))
    if (/^\d+$/.test(name) && Number(name) <= upTo)
      await rm(join(into, name, 'files'), { recursive: true, force: true });
}

async function layOut(
  fetch: LayerSource['fetch'],
  into: string,
  { change, ownerUid }: { change: Change; ownerUid: number | null },
): Promise<void> {
  const fresh = join(into, `.${change.sequence}`);
  await rm(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { mode: 0o755 });
  const hash = createHash('sha256');
  const { stream } = await fetch(change.digest, { direct: false });
  const owner = ownerUid === null ? {} : { owner: { uid: ownerUid, gid: ownerUid } };
  await untar(Readable.from(hashed(stream, hash)), fresh, owner);
  if (hash.digest('hex') !== change.digest) throw new Error(`the bytes of change ${change.sequence} are damaged`);
  renameSync(fresh, join(into, String(change.sequence)));
}

/** Nobody listens where the instance has just ended, or its launcher is not up yet: it looks for itself when it is. */
function tell(fifo: string): void {
  try {
    const fd = openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK);
    try {
      writeSync(fd, 'change\n');
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // EAGAIN: it has been told of more than it has come to.
    if (code !== 'ENXIO' && code !== 'EAGAIN') throw error;
  }
}
