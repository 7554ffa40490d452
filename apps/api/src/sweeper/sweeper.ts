/**
 * Removes what nobody needs any more, every few minutes, by one API at a time. Each task is idempotent, takes a limited batch (what is left goes the next
 * time), and depends on no other: one that fails is logged and keeps nothing from the rest.
 */
import type { ApiDeps } from '../deps.ts';
import { endDevelopmentApps } from '../development/development-apps.ts';
import { forgetFigures, packFigures } from '../figures/pack.ts';
import { endPreviews } from '../git/previews/previews.ts';
import { createNamedLease } from './named-lease.ts';
import { sweepBlobs } from './sweep-blobs.ts';
import {
  expireDroplets,
  expirePackages,
  forgetBuilds,
  forgetEvents,
  forgetJobs,
  forgetResources,
  forgetTokens,
  forgetUnadopted,
  forgetUsageEvents,
} from './sweep-rows.ts';
import { forgetDeployments, forgetRevisions, forgetRunSpecs, forgetTasks } from './sweep-runs.ts';
import { sweepUploads } from './sweep-uploads.ts';

export type SweepDeps = Pick<ApiDeps, 'store' | 'blobs' | 'logs' | 'sealer' | 'config' | 'log' | 'now'>;
/** Answers how many were removed. */
type Task = (deps: SweepDeps) => Promise<number>;

const EVERY_MS = 300_000;
/** Not in the first moments of a start, when everybody has better things to do. */
const FIRST_MS = 60_000;

/** Rows before the blobs that they let go. */
const TASKS: Record<string, Task> = {
  endPreviews,
  endDevelopmentApps,
  expireDroplets,
  expirePackages,
  forgetBuilds,
  forgetUnadopted,
  forgetJobs,
  forgetDeployments,
  forgetRevisions,
  forgetTasks,
  forgetRunSpecs,
  forgetTokens,
  forgetEvents,
  forgetUsageEvents,
  forgetResources,
  packFigures,
  forgetFigures,
  sweepBlobs,
  sweepUploads,
};

/** Runs until disposed. */
export function startSweeper(deps: SweepDeps): AsyncDisposable {
  const lease = createNamedLease({
    store: deps.store,
    name: 'sweeper',
    ttlMs: 2 * EVERY_MS,
    monotonic: () => performance.now(),
  });
  let isClosed = false;
  let running: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout;

  const pass = async (): Promise<void> => {
    try {
      if (await lease.hold()) await sweepOnce(deps, () => isClosed);
    } catch (error) {
      if (!isClosed) deps.log.warn({ err: error }, 'the sweeper could not take its lease');
    }
    plan(EVERY_MS);
  };
  const plan = (ms: number): void => {
    if (isClosed) return;
    timer = setTimeout(() => {
      running = pass();
    }, ms);
    timer.unref();
  };
  plan(FIRST_MS);
  return {
    [Symbol.asyncDispose]: async () => {
      isClosed = true;
      clearTimeout(timer);
      await running;
      await lease.release();
    },
  };
}

/** One pass of every task. @param isOver asked between tasks. */
export async function sweepOnce(deps: SweepDeps, isOver: () => boolean = () => false): Promise<void> {
  for (const [name, task] of Object.entries(TASKS)) {
    if (isOver()) return;
    try {
      const removed = await task(deps);
      if (removed > 0) deps.log.info({ task: name, removed }, 'swept');
    } catch (error) {
      deps.log.error({ err: error, task: name }, 'a task of the sweeper failed; it is tried again in the next pass');
    }
  }
}
