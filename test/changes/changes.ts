/** Everything that a user may change about a running app, each as clients of the API ask for it, and awaited until it has taken effect. */
import { type Platform, until } from '../platform.ts';
import { type Ledger, openLedger, stepsOfPush } from '../push-steps.ts';

/** Says which request it answers; `/slow` takes a while, less than the second that a copy has left when it has left its routes. */
const ECHO = `
const http = require('node:http');
http
  .createServer((request, response) => {
    let body = '';
    request.on('data', chunk => (body += chunk));
    request.on('end', () => {
      const answer = () => response.end(JSON.stringify({ id: request.headers['x-id'], body }));
      if (request.url === '/slow') setTimeout(answer, 600);
      else answer();
    });
  })
  .listen(Number(process.env.PORT));
`;

export interface Subject {
  platform: Platform;
  app: Ledger;
  random(): number;
}

interface Change {
  name: string;
  /** How often beside the others. */
  weight: number;
  make(subject: Subject): Promise<void>;
}

type Json = Record<string, unknown>;

/** mulberry32: small, and the same everywhere. */
export function chance(from: number): () => number {
  let state = from;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** An app that runs and answers. */
export async function pushEcho(platform: Platform): Promise<Ledger> {
  const app = await openLedger(platform, 'echo');
  for (const step of stepsOfPush(platform, 'echo', ECHO)) if (step.name !== 'answered') await step.run(app);
  await until('the app answers', async () => (await platform.ask(app.host)).status === 200);
  return app;
}

async function call({ platform }: Subject, method: string, path: string, body?: unknown): Promise<Json> {
  const answer = await platform.api(method, path, body);
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body as Json;
}

const pick = (subject: Subject, from: number, to: number): number =>
  from + Math.floor(subject.random() * (to - from + 1));

const web = ({ app }: Subject): string => `/v3/apps/${app.appGuid}/processes/web`;
const act = (subject: Subject, action: string): Promise<Json> =>
  call(subject, 'POST', `/v3/apps/${subject.app.appGuid}/actions/${action}`);
const scale = (subject: Subject, size: Json): Promise<Json> =>
  call(subject, 'POST', `${web(subject)}/actions/scale`, size);

/** As cf restart, restage and scale -m do it. */
async function stopAndStart(subject: Subject): Promise<void> {
  await act(subject, 'stop');
  await act(subject, 'start');
}

async function running(subject: Subject): Promise<void> {
  await until('every instance runs and is ready', async () => {
    const { resources } = await call(subject, 'GET', `${web(subject)}/stats`);
    const all = resources as Array<{ state: string; routable: boolean }>;
    return all.length > 0 && all.every(({ state, routable }) => state === 'RUNNING' && routable);
  });
}

const deploy = (subject: Subject, body: Json): Promise<Json> =>
  call(subject, 'POST', '/v3/deployments', {
    relationships: { app: { data: { guid: subject.app.appGuid } } },
    ...body,
  });

async function finalized(subject: Subject, guid: unknown): Promise<void> {
  await until('the deployment is final', async () => {
    const { status } = await call(subject, 'GET', `/v3/deployments/${String(guid)}`);
    return (status as { value: string }).value === 'FINALIZED';
  });
}

const setVariable = (subject: Subject): Promise<Json> =>
  call(subject, 'PATCH', `/v3/apps/${subject.app.appGuid}/environment_variables`, {
    var: { SETTING: String(pick(subject, 0, 1_000_000)) },
  });

const CHANGES: readonly Change[] = [
  { name: 'scale', weight: 3, make: async subject => void (await scale(subject, { instances: pick(subject, 1, 3) })) },
  {
    name: 'memory',
    weight: 2,
    make: async subject => {
      await scale(subject, { memory_in_mb: pick(subject, 64, 96) });
      await stopAndStart(subject);
    },
  },
  {
    name: 'disk',
    weight: 1,
    make: async subject => {
      await scale(subject, { disk_in_mb: pick(subject, 512, 1_024) });
      await stopAndStart(subject);
    },
  },
  { name: 'restart', weight: 3, make: async subject => void (await act(subject, 'restart')) },
  { name: 'stop and start', weight: 3, make: stopAndStart },
  {
    name: 'restart of one instance',
    weight: 2,
    make: async subject => void (await call(subject, 'DELETE', `${web(subject)}/instances/0`)),
  },
  {
    name: 'variable and restart',
    weight: 2,
    make: async subject => {
      await setVariable(subject);
      await stopAndStart(subject);
    },
  },
  {
    name: 'restage',
    weight: 2,
    make: async subject => {
      const { guid } = await call(subject, 'POST', '/v3/builds', { package: { guid: subject.app.packageGuid } });
      const build = await until('the build has ended', async () => {
        const seen = await call(subject, 'GET', `/v3/builds/${String(guid)}`);
        return seen.state !== 'STAGING' && seen;
      });
      await act(subject, 'stop');
      const path = `/v3/apps/${subject.app.appGuid}/relationships/current_droplet`;
      await call(subject, 'PATCH', path, { data: build.droplet });
      await act(subject, 'start');
    },
  },
  {
    name: 'rolling deployment',
    weight: 4,
    make: async subject => {
      await setVariable(subject);
      const { guid } = await deploy(subject, { options: { max_in_flight: pick(subject, 1, 2) } });
      await finalized(subject, guid);
    },
  },
  {
    name: 'deployment, cancelled on its way',
    weight: 2,
    make: async subject => {
      const { guid } = await deploy(subject, {});
      await new Promise(resolve => setTimeout(resolve, pick(subject, 0, 300)));
      // It may have ended a moment before.
      await subject.platform.api('POST', `/v3/deployments/${String(guid)}/actions/cancel`);
      await finalized(subject, guid);
    },
  },
  {
    name: 'deployment that never gets healthy, cancelled',
    weight: 2,
    make: async subject => {
      await call(subject, 'PATCH', web(subject), { command: 'sleep 600' });
      const { guid } = await deploy(subject, {});
      await new Promise(resolve => setTimeout(resolve, pick(subject, 300, 900)));
      await call(subject, 'POST', `/v3/deployments/${String(guid)}/actions/cancel`);
      await finalized(subject, guid);
      await call(subject, 'PATCH', web(subject), { command: null });
    },
  },
  {
    name: 'rollback',
    weight: 2,
    make: async subject => {
      await setVariable(subject);
      await deploy(subject, {}).then(({ guid }) => finalized(subject, guid));
      const { resources } = await call(
        subject,
        'GET',
        `/v3/apps/${subject.app.appGuid}/revisions?order_by=-created_at`,
      );
      const [, ...formers] = resources as Array<{ guid: string; processes: { web: { command: string | null } } }>;
      // Not one that never got healthy.
      const former = formers.find(({ processes }) => processes.web.command === null);
      const { guid } = await deploy(subject, { revision: { guid: former?.guid } });
      await finalized(subject, guid);
    },
  },
  {
    name: 'another route mapped and unmapped',
    weight: 2,
    make: async subject => {
      const { app } = subject;
      const route = await call(subject, 'POST', '/v3/routes', {
        host: `other-${pick(subject, 0, 1_000_000)}`,
        relationships: { space: { data: { guid: app.spaceGuid } }, domain: { data: { guid: app.domainGuid } } },
      });
      const path = `/v3/routes/${String(route.guid)}`;
      const { destinations } = await call(subject, 'POST', `${path}/destinations`, {
        destinations: [{ app: { guid: app.appGuid } }],
      });
      const [one] = destinations as Array<{ guid: string }>;
      await call(subject, 'DELETE', `${path}/destinations/${String(one?.guid)}`);
      await call(subject, 'DELETE', path);
    },
  },
  {
    name: 'restart of the platform',
    weight: 1,
    make: async ({ platform }) => platform.restart(),
  },
];

/** Makes `count` changes drawn by the subject's chance, one after another, each until every instance runs. */
export async function makeChanges(
  subject: Subject,
  { count, begins }: { count: number; begins(name: string): void },
): Promise<string[]> {
  const drawn = CHANGES.flatMap(change => Array<Change>(change.weight).fill(change));
  const made: string[] = [];
  for (let at = 0; at < count; at++) {
    const change = drawn[pick(subject, 0, drawn.length - 1)];
    if (change === undefined) throw new Error('no change was drawn');
    begins(`${at} ${change.name}`);
    await change.make(subject);
    await running(subject);
    made.push(change.name);
  }
  return made;
}
