/** What a platform remembers of its networks over restarts: its block, and who has which address. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Peering } from '@cupola/model/peers';
import type { Egress } from './egress-chains.ts';
import type { Door } from './network-rules.ts';

export interface Lease {
  slot: number;
  isBuild: boolean;
  /** Name of the chain of what it may reach. */
  chain: string;
}

/** What is kept on disk. Worth nothing after a reboot: the namespaces are gone then. */
export interface Remembered {
  boot: string;
  block: string;
  leases: Lease[];
  /** What leases may reach, by the names of their chains. */
  egress: Record<string, Egress>;
  /** Which of them reach which others. */
  peerings: readonly Peering[];
  /** By which they reach others of other machines. */
  doors: readonly Door[];
  /** Slot and time of those that rest. */
  released: Array<[slot: number, atMs: number]>;
}

export interface Memory {
  read(): Remembered;
  update(change: Partial<Remembered>): void;
  forget(): void;
}

export function openMemory(folder: string): Memory {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, 'networks.json');
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  let known: Remembered = { boot, block: '', leases: [], egress: {}, peerings: [], doors: [], released: [] };
  if (existsSync(file)) {
    const kept = JSON.parse(readFileSync(file, 'utf8')) as Remembered;
    if (kept.boot === boot) known = { ...known, ...kept };
  }
  return {
    read: () => known,
    update: change => {
      known = { ...known, ...change };
      writeFileSync(`${file}.new`, JSON.stringify(known), { mode: 0o600 });
      renameSync(`${file}.new`, file);
    },
    forget: () => rmSync(file, { force: true }),
  };
}
