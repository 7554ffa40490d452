/** What lies in a data folder, how much of it, and why it is kept: for `doctor`. Changes nothing. */
import { spawnSync } from 'node:child_process';
import { existsSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { keptFreeBytes } from '@cupola/model/free-space';
import { RETENTION } from '@cupola/model/limits';

export interface DiskUse {
  totalBytes: number;
  freeBytes: number;
  /** Uploads are refused while less than this is free; what runs goes on. */
  keptFreeBytes: number;
  /** Null: pushes are taken. */
  refused: string | null;
  kinds: { name: string; bytes: number; kept: string }[];
}

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

/** Below the data folder, and the rule by which each is emptied. */
const KINDS: ReadonlyArray<readonly [name: string, folders: readonly string[], kept: string]> = [
  ['store', ['state/store.db', 'state/store.db-wal'], 'users, apps, routes; events and jobs of 31 days'],
  [
    'packages and droplets',
    ['state/blobs', 'state/blob-cache'],
    `of each app the newest ${RETENTION.packages} packages and ${RETENTION.droplets} droplets, and what is current or runs; an hour after nothing names them the others go`,
  ],
  ['uploads under way', ['state/uploads'], 'until they are checked, or given up'],
  ['stacks', ['state/stacks', 'stacks'], 'until they are removed'],
  ["apps' logs", ['state/logs'], 'the newest 4 MB of each app, 1 GB of all'],
  ['build caches', ['cell/builds/cache'], '1 GB of each app, 5 GB of all; the least used go first'],
  ['toolchains', ['cell/builds/toolchains', 'cell/builds/toolchain-layers'], 'fetched once for all apps'],
  ['unpacked apps', ['cell/instances/layers'], 'what runs here, and a little more for the next start'],
  ["instances' disks", ['cell/instances/sandboxes', 'cell/builds/sandboxes'], 'until the instance or build ends'],
  ["the platform's logs", ['log'], 'the newest 10 MB of each part, and 10 MB before'],
];

/** Null when there is no data folder yet. */
export function diskUse(data: string): DiskUse | null {
  if (!existsSync(data)) return null;
  const { blocks, bavail, bsize } = statfsSync(data);
  const [totalBytes, freeBytes] = [blocks * bsize, bavail * bsize];
  const kept = keptFreeBytes(totalBytes);
  return {
    totalBytes,
    freeBytes,
    keptFreeBytes: kept,
    refused:
      freeBytes < kept
        ? `less than ${sizeText(kept)} is free: pushes are refused, what runs goes on. Delete apps that are not needed, or free space on this disk.`
        : null,
    kinds: KINDS.map(([name, folders, why]) => ({ name, bytes: usedBytes(data, folders), kept: why })),
  };
}

/** Blocks in use: disks of instances are sparse files. */
function usedBytes(data: string, folders: readonly string[]): number {
  const there = folders.map(folder => join(data, folder)).filter(path => existsSync(path));
  if (there.length === 0) return 0;
  const { stdout } = spawnSync('du', ['-sk', '--', ...there], { encoding: 'utf8', maxBuffer: MIB });
  return stdout
    .split('\n')
    .map(line => Number(line.split('\t')[0]) * KIB)
    .reduce((sum, bytes) => sum + bytes, 0);
}

function sizeText(bytes: number): string {
  return bytes >= GIB ? `${(bytes / GIB).toFixed(1)} GB` : `${Math.ceil(bytes / MIB)} MB`;
}

export function diskLines({ totalBytes, freeBytes, refused, kinds }: DiskUse): string[] {
  const rows = kinds.filter(({ bytes }) => bytes > 0).sort((a, b) => b.bytes - a.bytes);
  const width = Math.max(...rows.map(({ name }) => name.length), 0);
  return [
    `disk: ${sizeText(freeBytes)} of ${sizeText(totalBytes)} free${refused === null ? '' : `; ${refused}`}`,
    ...rows.map(({ name, bytes, kept }) => `  ${name.padEnd(width)}  ${sizeText(bytes).padStart(8)}  kept: ${kept}`),
  ];
}
