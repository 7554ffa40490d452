/**
 * What a former agent left (shim.md): sandboxes that run or have ended, and records of what they are. Both are matched here; what runs goes on, at the same
 * address, and what has ended meanwhile counts as a crash by the table. Needs no API, so that healing goes on while the control plane is away.
 */
import { restartDelayMs } from '@cupola/model/crash-table';
import { CELL_LIMITS } from '@cupola/model/limits';
import type { Networks } from '@cupola/sandbox/networks';
import type { RunningSandbox, Sandboxes } from '@cupola/sandbox/sandbox';
import type { Logger } from 'pino';
import type { Changes } from '../development/changes.ts';
import type { Addresses } from '../host/addresses.ts';
import type { Resumed } from './copies.ts';
import { aroundRecord, type Copy } from './copy.ts';
import { removeSandbox } from './life.ts';
import type { CopyRecord, Records } from './record.ts';

interface Deps {
  sandboxes: Sandboxes;
  networks: Networks | null;
  records: Records;
  addresses: Addresses;
  changes: Pick<Changes, 'removeOthers'>;
  now(): number;
  monotonic(): number;
  log: Logger;
}

export interface Adopted {
  adopted: Resumed[];
  /** Ends sandboxes that no record names, and what they used: only on the scheduler's fresh word. */
  removeUnknown(): Promise<void>;
}

export async function adoptCopies(deps: Deps): Promise<Adopted> {
  const { sandboxes, networks, records, addresses, changes, log } = deps;
  const found = new Map((await sandboxes.adopt()).map(sandbox => [sandbox.guid, sandbox]));
  const adopted: Resumed[] = [];
  for (const record of records.all()) {
    const { launch } = record;
    const sandbox = launch === null ? null : (found.get(launch.sandboxGuid) ?? null);
    if (launch !== null && sandbox !== null) {
      found.delete(launch.sandboxGuid);
      // Its address is its own as long as it runs, whoever else has lost sight of that.
      await addresses
        .take(launch.address)
        .catch(error => log.error({ err: error, copy: record.placement.guid }, 'the network of a copy is not known'));
    }
    adopted.push(resumed(deps, record, sandbox));
  }
  const unknown = [...found.values()];
  const orphans = orphanNetworks(networks, adopted);
  const removeUnknown = async (): Promise<void> => {
    await Promise.all(unknown.map(removeSandbox));
    await changes.removeOthers(runningGuids(records));
    // Not sooner: an unknown sandbox may run in one of them.
    for (const name of orphans) await networks?.release(name);
  };
  if (adopted.length > 0 || unknown.length > 0)
    log.info({ copies: adopted.length, unknown: unknown.length }, 'copies of a former agent taken over');
  return { adopted, removeUnknown };
}

/** Of what runs by now, which may be more than what was adopted. */
function runningGuids(records: Records): Set<string> {
  return new Set(records.all().flatMap(({ launch }) => (launch === null ? [] : [launch.sandboxGuid])));
}

function resumed({ now, monotonic }: Deps, record: CopyRecord, sandbox: RunningSandbox | null): Resumed {
  if (sandbox !== null) {
    const copy = aroundRecord(record, null);
    if (record.state === 'RUNNING') copy.runningSinceMs = monotonic() - Math.max(0, now() - record.sinceMs);
    if (record.phase === 'starting') copy.startingSinceMs = monotonic();
    return { copy, sandbox, isLost: false };
  }
  // What runs once may have run as soon as a launch was on its way.
  const isTask = record.placement.runSpec.taskName !== undefined;
  const isLost = record.launch?.isStarted === true || (isTask && record.launch !== null);
  const hasBegun = record.phase === 'starting' || record.phase === 'running' || record.phase === 'stopping';
  if (isLost || !hasBegun) return { copy: waitingOn(record, { now, monotonic }), sandbox: null, isLost };
  // Killed before the launch: that start never was.
  const again: CopyRecord = { ...record, phase: 'waiting', launch: null, startAtMs: now() };
  return { copy: aroundRecord(again, monotonic()), sandbox: null, isLost: false };
}

/** Waits on for what is left of its time; however the wall clock was moved, no longer than the whole of it. */
function waitingOn(record: CopyRecord, { now, monotonic }: Pick<Deps, 'now' | 'monotonic'>): Copy {
  if (record.startAtMs === null) return aroundRecord(record, null);
  const wholeMs =
    record.state === 'CRASHED' ? (restartDelayMs(record.crashCount) ?? 0) : CELL_LIMITS.sandboxErrorPauseMs;
  const leftMs = Math.min(wholeMs, Math.max(0, record.startAtMs - now()));
  return aroundRecord(record, monotonic() + leftMs);
}

/** Leases of a former agent that no record names. */
function orphanNetworks(networks: Networks | null, adopted: readonly Resumed[]): string[] {
  const used = new Set(adopted.map(({ copy }) => copy.record.launch?.address.network));
  return (networks?.known() ?? []).map(({ name }) => name).filter(name => !used.has(name));
}
