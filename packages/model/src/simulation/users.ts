/** Users of the simulated cluster. What was answered is in their ledger, and must be what the store says in the end. */
import type { DesiredProcess } from '../cluster-state.ts';
import type { World } from './world.ts';

export interface Users {
  readonly ledger: ReadonlyMap<string, DesiredProcess>;
  create(much: number): void;
  delete(which: number): void;
  /** A new run spec, as a start or restart fixes it. */
  run(which: number, options?: { isBad: boolean }): void;
  stop(which: number): void;
  scale(which: number, instances: number): void;
  restartIndex(which: number, index: number): void;
}

const APPS_MAX = 4;
const SIZES_MB = [100, 200, 400, 700];

export function makeUsers({ store, time, badSpecs, note }: World): Users {
  const ledger = new Map<string, DesiredProcess>();
  let count = 0;

  function write(process: DesiredProcess, what: string): void {
    note(
      () =>
        `user: ${what} ${process.guid} (${process.isStarted ? `${process.instances} x ${process.spec?.guid}` : 'stopped'})`,
    );
    ledger.set(process.guid, process);
    store.writeProcess(process);
  }
  const pick = (which: number): DesiredProcess | undefined => [...ledger.values()][which % Math.max(1, ledger.size)];

  return {
    ledger,
    create: much => {
      if (ledger.size >= APPS_MAX) return;
      const guid = `p${++count}`;
      const memoryMb = SIZES_MB[much % SIZES_MB.length] ?? 100;
      const spec = { guid: `${guid}-v1`, memoryMb, diskMb: 100, stack: 'host', abiKey: null };
      const instances = 1 + (much % 3);
      const none = { stoppedAt: null, indexStarts: {} };
      write({ guid, appGuid: `app-${guid}`, isStarted: true, instances, spec, startSequence: 1, ...none }, 'creates');
    },
    delete: which => {
      const process = pick(which);
      if (process === undefined) return;
      note(() => `user: deletes ${process.guid}`);
      ledger.delete(process.guid);
      store.deleteProcess(process.guid);
    },
    run: (which, { isBad } = { isBad: false }) => {
      const process = pick(which);
      if (process?.spec == null) return;
      const startSequence = process.startSequence + 1;
      const spec = { ...process.spec, guid: `${process.guid}-v${startSequence}` };
      if (isBad) badSpecs.add(spec.guid);
      write({ ...process, isStarted: true, stoppedAt: null, spec, startSequence }, isBad ? 'pushes a bad' : 'runs');
    },
    stop: which => {
      const process = pick(which);
      if (process?.isStarted) write({ ...process, isStarted: false, stoppedAt: time.nowMs }, 'stops');
    },
    scale: (which, instances) => {
      const process = pick(which);
      if (process !== undefined) write({ ...process, instances }, 'scales');
    },
    restartIndex: (which, index) => {
      const process = pick(which);
      if (process === undefined) return;
      const starts = (process.indexStarts[String(index)] ?? 0) + 1;
      write({ ...process, indexStarts: { ...process.indexStarts, [index]: starts } }, `restarts ${index} of`);
    },
  };
}
