/** run-task, tasks, terminate-task: one-off runs of an app's droplet. */
import { CfApiError } from '@cupola/client/errors';
import { recentLines } from '@cupola/client/logs';
import { readTask } from '@cupola/contract/v3/client-reads';
import { usageError, WordedError } from '@cupola/push/failures';
import { logLine, megabytes } from '@cupola/push/text';
import { type CliContext, findApp } from '../context.ts';
import { hasDroplet } from './releases.ts';

export interface RunTaskFlags {
  command?: string;
  name?: string;
  memory?: string;
  disk?: string;
  wait?: boolean;
}

/** A task may run for days; who waits has Ctrl-C. */
const WAIT_LIMIT_MS = 7 * 24 * 3_600_000;

/** Of a task that was waited for, so much is shown. */
const OUTPUT_LINES = 30;

export async function runTask(context: CliContext, name: string, flags: RunTaskFlags): Promise<void> {
  const { command, memory, disk, wait } = flags;
  if (command === undefined) throw usageError('Which command?', `cupola run-task ${name} "COMMAND"`);
  const app = await findApp(context, name);
  const client = context.client();
  const sizes = {
    ...(memory === undefined ? {} : { memory_in_mb: megabytes('-m', memory) }),
    ...(disk === undefined ? {} : { disk_in_mb: megabytes('-k', disk) }),
  };
  const task = await client
    .read(readTask, {
      method: 'POST',
      path: `/v3/apps/${app.guid}/tasks`,
      json: { command, ...(flags.name === undefined ? {} : { name: flags.name }), ...sizes },
    })
    .catch(async (error: unknown) => {
      if (!(error instanceof CfApiError) || (await hasDroplet(context, app))) throw error;
      throw new WordedError(`${name} has nothing to run a task with: it was never staged.`, {
        next: `Stage it: cupola push ${name} --task, or with a start: cupola push ${name}`,
      });
    });
  if (wait !== true)
    return context.result(
      { task },
      `Task ${task.sequence_id} (${task.name}) runs. Its output: cupola logs ${name} --recent; its end: cupola tasks ${name}`,
    );
  const ended = await client.poll({
    path: `/v3/tasks/${task.guid}`,
    schema: readTask,
    what: `task ${task.name}`,
    limitMs: WAIT_LIMIT_MS,
    isDone: ({ state }) => state === 'SUCCEEDED' || state === 'FAILED',
  });
  const output = (await recentLines(client, app.guid).catch(() => []))
    .filter(line => line.sourceType === `APP/TASK/${ended.name}`)
    .slice(-OUTPUT_LINES);
  if (ended.state === 'FAILED')
    throw new WordedError(
      `Task ${ended.sequence_id} (${ended.name}) failed: ${ended.result?.failure_reason ?? 'it gave no reason'}`,
      { next: `All of its output: cupola logs ${name} --recent`, details: output.map(logLine) },
    );
  for (const line of output) context.say(logLine(line));
  context.result({ task: ended }, `Task ${ended.sequence_id} (${ended.name}) has succeeded.`);
}

export async function tasks(context: CliContext, name: string): Promise<void> {
  const app = await findApp(context, name);
  const all = await context.client().all(readTask, `/v3/apps/${app.guid}/tasks`, { order_by: '-created_at' });
  const rows = all.map(({ sequence_id, name: title, state, created_at, command, result }) => [
    String(sequence_id ?? ''),
    title,
    state.toLowerCase(),
    created_at,
    result?.failure_reason ? `${command ?? ''} (${result.failure_reason})` : (command ?? ''),
  ]);
  context.result(
    { tasks: all },
    all.length === 0
      ? `${name} has had no tasks.`
      : context.table([['id', 'name', 'state', 'start', 'command'], ...rows]),
  );
}

export async function terminateTask(context: CliContext, name: string, sequence: number): Promise<void> {
  const app = await findApp(context, name);
  const client = context.client();
  const [task] = await client.all(readTask, `/v3/apps/${app.guid}/tasks`, { sequence_ids: String(sequence) });
  if (task === undefined)
    throw new WordedError(`${name} has had no task ${sequence}.`, {
      next: `See which there are: cupola tasks ${name}`,
    });
  await client.act({ method: 'POST', path: `/v3/tasks/${task.guid}/actions/cancel` });
  context.result({ task: task.guid, cancelled: true }, `Task ${sequence} of ${name} is being ended.`);
}
