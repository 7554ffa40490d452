/** Users of the simulated cluster. What was answered is in their ledger, and must be what the store says in the end. */
import type { DesiredProcess } from '../cluster-state.ts';
import {
  type CanaryStep,
  canaryStep,
  continued,
  isCancelable,
  isProgressing,
  supersededState,
} from '../deployments.ts';
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
  /** Moves the rolling app to a new version; the first one makes it. */
  deploy(much: number, options: { isBad: boolean }): void;
  /** The same by two canary steps, which `continueDeployment` lets go on. */
  deployCanary(much: number): void;
  continueDeployment(): void;
  cancelDeployment(): void;
  runTask(much: number): void;
  cancelTask(which: number): void;
}

/** The one app that is changed by deployments alone. */
export const ROLLING_APP = 'app-rolling';

const APPS_MAX = 4;
const SIZES_MB = [100, 200, 400, 700];

export function makeUsers(world: World): Users {
  const { store, time, badSpecs, note } = world;
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
      const spec = { guid: `${guid}-v1`, memoryMb, diskMb: 100, stack: 'host', abiKey: null, segment: null };
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
    ...rollingUser(world),
    ...taskUser(world),
  };
}

/** Percent of the instances at each pause. */
const CANARY_WEIGHTS = [30, 60];

const atStep = (original: number, step: number): CanaryStep =>
  canaryStep({ weights: CANARY_WEIGHTS, original, webInstances: null }, step);

type RollingUser = Pick<Users, 'deploy' | 'deployCanary' | 'continueDeployment' | 'cancelDeployment'>;

function rollingUser({ store, badSpecs, note }: World): RollingUser {
  let versions = 0;
  const deploy = (much: number, { isBad, isCanary }: { isBad: boolean; isCanary: boolean }): void => {
    const present = store.deployments.get(ROLLING_APP);
    const [oldest] = [...store.processes.values()].filter(({ appGuid }) => appGuid === ROLLING_APP);
    const moving = present !== undefined && isCancelable(present.state) ? present : undefined;
    const original = moving?.original ?? oldest?.instances ?? 1 + (much % 3);
    const maxInFlight = 1 + (much % 2);
    const guid = `rolling-${String(++versions).padStart(3, '0')}`;
    // The first version is a good one, and started as any other app.
    const isFirst = oldest === undefined;
    const spec = { guid: `${guid}-spec`, memoryMb: 100, diskMb: 100, stack: 'host', abiKey: null, segment: null };
    if (isBad && !isFirst) badSpecs.add(spec.guid);
    const canary = isCanary ? atStep(original, 1) : null;
    const instances = isFirst ? original : Math.min(maxInFlight, canary?.canaries ?? original);
    const none = { stoppedAt: null, indexStarts: {}, startSequence: 1 };
    note(
      () => `user: deploys ${isBad ? 'a bad ' : ''}${guid}, ${original} instances${isCanary ? ', by canaries' : ''}`,
    );
    store.writeProcess({ guid, appGuid: ROLLING_APP, isStarted: true, instances, spec, ...none });
    if (isFirst) return;
    const superseded = new Set(present?.superseded);
    const abandoned = new Set(present?.abandoned);
    if (moving !== undefined)
      (supersededState(moving.state) === 'DEPLOYED' ? superseded : abandoned).add(moving.deployingGuid);
    const state = isCanary ? 'PREPAUSED' : 'DEPLOYING';
    const facts = { wanted: original, original, maxInFlight, canary, step: 1, superseded, abandoned };
    store.writeDeployment({ appGuid: ROLLING_APP, state, deployingGuid: guid, ...facts });
  };
  return {
    deploy: (much, { isBad }) => deploy(much, { isBad, isCanary: false }),
    deployCanary: much => deploy(much, { isBad: false, isCanary: true }),
    continueDeployment: () => {
      const present = store.deployments.get(ROLLING_APP);
      if (present === undefined) return;
      const next = continued(present.state, { step: present.step, steps: CANARY_WEIGHTS.length });
      if (next !== null) store.writeDeployment({ ...present, ...next, canary: atStep(present.original, next.step) });
    },
    cancelDeployment: () => {
      const present = store.deployments.get(ROLLING_APP);
      if (present !== undefined && isProgressing(present.state))
        store.writeDeployment({ ...present, state: 'CANCELING' });
    },
  };
}

function taskUser({ store, time, note }: World): Pick<Users, 'runTask' | 'cancelTask'> {
  let tasks = 0;
  return {
    runTask: much => {
      const guid = `task-${++tasks}`;
      note(() => `user: runs ${guid}`);
      const memoryMb = SIZES_MB[much % SIZES_MB.length] ?? 100;
      const spec = { guid: `${guid}-spec`, memoryMb, diskMb: 100, stack: 'host', abiKey: null, segment: null };
      store.writeTask({ guid, appGuid: `app-of-${guid}`, spec, state: 'PENDING', askedAtMs: time.nowMs });
    },
    cancelTask: which => {
      const active = [...store.tasks.values()].filter(({ state }) => state === 'PENDING' || state === 'RUNNING');
      const task = active[which % Math.max(1, active.length)];
      if (task !== undefined) store.writeTask({ ...task, state: 'CANCELING' });
    },
  };
}
