/** Waiting for an app to run after start, restart, scale or push, and telling why it does not. */
import type { CloudClient } from '@cupola/client/cloud-client';
import { recentLines } from '@cupola/client/logs';
import { type ReadApp, readAuditEvent, readProcess, readStats } from '@cupola/contract/v3/client-reads';
import { INSTANCE_LIMITS } from '@cupola/model/limits';
import type { CliContext } from './context.ts';
import { CliError } from './failures.ts';
import { logLine, plural } from './text.ts';

/** cf's CF_STARTUP_TIMEOUT. */
const START_LIMIT_MS = 5 * 60_000;
const LAST_LINES = 20;

/**
 * Returns when every process with instances has one that runs (as cf does), or, with `all`, when all of them run. Throws with the crash's reason and the last
 * log lines when all instances of a process crash.
 */
export async function waitUntilRunning(
  context: CliContext,
  app: ReadApp,
  { all = false }: { all?: boolean } = {},
): Promise<void> {
  const client = context.client();
  const processes = await client.all(readProcess, `/v3/apps/${app.guid}/processes`);
  for (const process of processes) {
    if (process.instances === 0) continue;
    const timeoutMs = (process.health_check?.data?.timeout ?? 0) * 1_000;
    const stats = await client.poll({
      path: `/v3/processes/${process.guid}/stats`,
      schema: readStats,
      what: `the start of ${app.name} (${process.type})`,
      limitMs: Math.max(START_LIMIT_MS, timeoutMs + INSTANCE_LIMITS.startTimeoutMs),
      isDone: ({ resources }) => {
        const running = resources.filter(({ state }) => state === 'RUNNING').length;
        const crashed = resources.filter(({ state }) => state === 'CRASHED').length;
        return running >= (all ? process.instances : 1) || resources.length === 0 || crashed === resources.length;
      },
    });
    const { resources } = stats;
    if (resources.length > 0 && !resources.some(({ state }) => state === 'RUNNING'))
      throw await crashed(client, app, {
        type: process.type,
        details: resources.find(({ details }) => details)?.details ?? null,
      });
  }
}

/** The deed of an app that does not stay up: reason of the newest crash and what it printed last. */
async function crashed(
  client: CloudClient,
  app: ReadApp,
  { type, details }: { type: string; details: string | null },
): Promise<CliError> {
  const [event, lines] = await Promise.all([
    client
      .first(readAuditEvent, '/v3/audit_events', {
        target_guids: app.guid,
        types: 'audit.app.process.crash',
        order_by: '-created_at',
      })
      .catch(() => null),
    recentLines(client, app.guid, 100).catch(() => []), // Logs are a help here, not the matter.
  ]);
  const reason = event?.data?.exit_description ?? event?.data?.reason ?? details ?? 'it ended without a reason';
  const own = lines
    .filter(({ sourceType }) => sourceType.startsWith('APP') || sourceType === 'CELL')
    .slice(-LAST_LINES);
  return new CliError(`${app.name} (${type}) does not run: ${reason}.`, {
    next:
      own.length > 0
        ? `Above are its last ${plural(own.length, 'log line')}. Mend it and push again; more: cupola logs ${app.name} --recent`
        : `See its log: cupola logs ${app.name} --recent`,
    details: own.map(logLine),
  });
}
