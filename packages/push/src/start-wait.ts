/** Waiting for an app to run after start, restart, scale or push, and telling why it does not. */
import type { CloudClient } from '@cupola/client/cloud-client';
import { type ReadApp, type ReadProcess, readProcess, readStats } from '@cupola/contract/v3/client-reads';
import { INSTANCE_LIMITS } from '@cupola/model/limits';
import { areHopeless, startFailure, startTrouble } from './explain-failure.ts';

/** cf's CF_STARTUP_TIMEOUT. */
const START_LIMIT_MS = 5 * 60_000;
/**
 * Returns the app's processes when every process with instances has one that runs (as cf does), or, with `all`, when all of them run. Throws with the cause and the last log
 * lines when no instance of a process will.
 */
export async function waitUntilRunning(
  client: CloudClient,
  app: ReadApp,
  { all = false }: { all?: boolean } = {},
): Promise<ReadProcess[]> {
  const processes = await client.all(readProcess, `/v3/apps/${app.guid}/processes`);
  for (const process of processes) {
    if (process.instances === 0) continue;
    const timeoutMs = (process.health_check?.data?.timeout ?? 0) * 1_000;
    const startedMs = performance.now();
    const { resources } = await client.poll({
      path: `/v3/processes/${process.guid}/stats`,
      schema: readStats,
      what: `the start of ${app.name} (${process.type})`,
      limitMs: Math.max(START_LIMIT_MS, timeoutMs + INSTANCE_LIMITS.startTimeoutMs),
      isDone: stats => {
        const running = stats.resources.filter(({ state }) => state === 'RUNNING').length;
        const crashed = stats.resources.filter(({ state }) => state === 'CRASHED').length;
        if (running >= (all ? process.instances : 1) || crashed === stats.resources.length) return true;
        return areHopeless(stats.resources, performance.now() - startedMs);
      },
    });
    if (resources.length > 0 && !resources.some(({ state }) => state === 'RUNNING'))
      throw startFailure(app, process, await startTrouble(client, app, { process, instances: resources }));
  }
  return processes;
}
