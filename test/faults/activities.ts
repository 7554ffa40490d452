/** What goes on while something breaks, by a client that repeats what was not acknowledged; and what must be there afterwards, since it was. */
import { until } from '../platform.ts';
import { type Asked, checkLedger, type Ledger, openLedger, stepsOfPush } from '../push-steps.ts';
import { STAMPING } from './load.ts';

export type Activity = 'push' | 'scale' | 'deploy';

/** Longer than any fault lasts, and all that comes after it. */
const LIMIT_MS = 180_000;

/** Repeats while nobody answers, or a 503 says to come again. */
async function call(client: Asked, method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
  return until(
    `${method} ${path}`,
    async () => {
      const answer = await client.api(method, path, body);
      if (answer.status >= 300) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`);
      return (answer.body ?? {}) as Record<string, unknown>;
    },
    LIMIT_MS,
  );
}

/** Pushes an app that says which copy answers; resolves when so many answer. */
export async function pushStamping(client: Asked, name: string, instances: number): Promise<Ledger> {
  const ledger = await openLedger(client, name);
  const steps = stepsOfPush(client, 'none', STAMPING).filter(({ name }) => name !== 'answered');
  for (const step of steps) await step.run(ledger);
  await scaleTo(client, ledger, instances);
  return ledger;
}

/** How many copies of the app answer, index by index; each index by one copy alone. */
async function copies(client: Asked, host: string, instances: number): Promise<Map<string, Set<string>>> {
  const answers = await Promise.all(Array.from({ length: 6 * instances }, () => client.ask(host)));
  const seen = new Map<string, Set<string>>();
  for (const { status, body } of answers) {
    if (status !== 200) throw new Error(`${host}: ${status} ${body.slice(0, 100)}`);
    const [index = '', guid = ''] = body.split(' ');
    seen.set(index, (seen.get(index) ?? new Set()).add(guid));
  }
  return seen;
}

/** So many indexes answer, one copy each. */
export async function settled(client: Asked, host: string, instances: number): Promise<void> {
  await until(
    `${host}: ${instances} indexes answer, one copy each`,
    async () => {
      const seen = await copies(client, host, instances);
      if (seen.size === instances && [...seen.values()].every(guids => guids.size === 1)) return true;
      throw new Error(JSON.stringify([...seen].map(([index, guids]) => [index, [...guids]])));
    },
    LIMIT_MS,
  );
}

async function scaleTo(client: Asked, ledger: Ledger, instances: number): Promise<void> {
  await call(client, 'POST', `/v3/apps/${ledger.appGuid}/processes/web/actions/scale`, { instances });
  await settled(client, ledger.host, instances);
}

async function isScaledTo(client: Asked, ledger: Ledger, instances: number): Promise<void> {
  const process = await call(client, 'GET', `/v3/apps/${ledger.appGuid}/processes/web`);
  if (process.instances !== instances) throw new Error(`scaled to ${instances}, but it is ${process.instances}`);
}

async function deploy(client: Asked, { appGuid }: Ledger): Promise<void> {
  const made = await call(client, 'POST', '/v3/deployments', {
    strategy: 'rolling',
    relationships: { app: { data: { guid: appGuid } } },
  });
  let guid = String(made.guid);
  await until(
    'the deployment ends',
    async () => {
      const { status } = await call(client, 'GET', `/v3/deployments/${guid}`);
      const { value, reason } = status as { value: string; reason: string };
      if (value !== 'FINALIZED') return false;
      if (reason === 'DEPLOYED') return true;
      // One whose answer was lost may be made all the same, and later than the one that was acknowledged, when the API that had it comes to itself again.
      guid = await newestDeployment(client, appGuid);
      throw new Error(`the deployment is ${reason}`);
    },
    LIMIT_MS,
  );
}

async function newestDeployment(client: Asked, appGuid: string): Promise<string> {
  const path = `/v3/deployments?app_guids=${appGuid}&order_by=-created_at&per_page=1`;
  const { resources } = await call(client, 'GET', path);
  return String((resources as Array<{ guid: string }>)[0]?.guid);
}

export interface Running {
  /** When it was done and answered for, ms after `since`. */
  done: Promise<number>;
  /** Throws when something that was acknowledged is not there; then takes it back. */
  check(): Promise<void>;
}

/** Each copy on a machine of its own, as it was before a fault that moved them: the other one is to go on when a machine breaks. */
export async function spread(client: Asked, ledger: Ledger, machines: number): Promise<void> {
  const path = `/v3/apps/${ledger.appGuid}/processes/web/stats`;
  await until(
    `${ledger.host} runs on ${machines} machines`,
    async () => {
      const { resources } = await call(client, 'GET', path);
      const hosts = new Set((resources as Array<{ host?: string }>).map(({ host }) => host));
      if (hosts.size === machines) return true;
      await deploy(client, ledger);
      return false;
    },
    LIMIT_MS,
  );
}

/** Apps that are pushed once: one that is only asked, and those that are scaled and deployed. */
export interface Fixture {
  steady: Ledger;
  scaled: Ledger;
  rolled: Ledger;
}

/** @param turn makes names. */
export function begin(client: Asked, what: Activity, { scaled, rolled }: Fixture, turn: number): Running {
  const since = performance.now();
  const timed = (work: Promise<unknown>): Promise<number> => work.then(() => performance.now() - since);
  if (what === 'scale')
    return {
      done: timed(scaleTo(client, scaled, 3)),
      check: async () => {
        await isScaledTo(client, scaled, 3);
        await settled(client, scaled.host, 3);
        await scaleTo(client, scaled, 1);
      },
    };
  if (what === 'deploy') return { done: timed(deploy(client, rolled)), check: () => settled(client, rolled.host, 2) };
  const pushing = pushStamping(client, `pushed-${turn}`, 1);
  return {
    done: timed(pushing),
    check: async () => {
      const ledger = await pushing;
      await checkLedger(client, ledger);
      await settled(client, ledger.host, 1);
      await call(client, 'DELETE', `/v3/apps/${ledger.appGuid}`);
    },
  };
}
