/**
 * The parts of a cluster, each a process of its own, on a real PostgreSQL and a real Redis: two APIs, two schedulers, and a machine that has joined and runs
 * agent, stager and router. One after another is killed with -9 or frozen, while a client outside asks the app without pause.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type RedisServer, startRedis } from '@cupola/redis/redis-server';
import { hasPostgres, type PostgresServer, startPostgres } from '@cupola/store/postgres-server';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { appFolder, ROOT, run, until } from './platform.ts';

interface Program {
  pid(): number;
  kill(signal: NodeJS.Signals): void;
  /** What it has said last, a line each. */
  said(): readonly string[];
  /** Again, with the same settings. */
  start(): Promise<void>;
}

const PASSWORD = 'let me in';
/** Of each program. */
const LINES_KEPT = 1_000;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise(resolve => server.close(resolve));
  return port;
}

describe.skipIf(!hasPostgres() || process.getuid?.() !== 0)('parts as processes', () => {
  let work: string;
  let postgres: PostgresServer;
  let redis: RedisServer;
  let database: string;
  let member: string;
  let router: number;
  const apiPorts: number[] = [];
  const memberPorts: number[] = [];
  /** Where each program is asked how it is. */
  const healthPorts: Record<string, number> = {};
  const apis: Program[] = [];
  const schedulers: Program[] = [];
  const running = new Set<ChildProcess>();

  /** Resolves once it says that it serves. */
  async function program(path: string, environment: Record<string, string>): Promise<Program> {
    let child: ChildProcess;
    let said: string[] = [];
    const start = async (): Promise<void> => {
      const started = spawn(process.execPath, [join(ROOT, path)], {
        env: { ...process.env, CUPOLA_DATABASE_URL: database, ...environment },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      child = started;
      running.add(started);
      said = [];
      await new Promise<void>((resolve, reject) => {
        createInterface({ input: started.stdout }).on('line', line => {
          if (said.push(line) > LINES_KEPT) said.shift();
          if (line.includes('"ready"')) resolve();
        });
        started.on('exit', code => {
          running.delete(started);
          reject(new Error(`${path} ended with ${code}: ${said.slice(-5).join('\n')}`));
        });
      });
    };
    await start();
    return {
      pid: () => child.pid ?? 0,
      kill: signal => void child.kill(signal),
      said: () => said,
      start,
    };
  }

  const healthListen = async (name: string): Promise<string> => {
    healthPorts[name] = await freePort();
    return `127.0.0.1:${healthPorts[name]}`;
  };
  const health = async (name: string, path: string): Promise<{ status: number; body: string }> => {
    const answer = await fetch(`http://127.0.0.1:${healthPorts[name]}${path}`).catch((error: unknown) => {
      throw new Error(`${name} does not answer ${path}`, { cause: error });
    });
    return { status: answer.status, body: await answer.text() };
  };
  const api = async (index: number): Promise<Program> => {
    const state = join(work, `api-${index}`, 'state');
    mkdirSync(state, { recursive: true });
    return program('apps/api/src/main.ts', {
      CUPOLA_REDIS_URL: redis.url,
      CUPOLA_BLOBS_URL: join(work, 'blobs'),
      CUPOLA_KEYS: join(work, 'keys'),
      CUPOLA_WORK: state,
      CUPOLA_PUBLIC_URL: `http://127.0.0.1:${apiPorts[0]}`,
      CUPOLA_DOMAIN: 'localhost',
      CUPOLA_LISTEN: `127.0.0.1:${apiPorts[index]}`,
      CUPOLA_CLUSTER_LISTEN: `127.0.0.1:${memberPorts[index]}`,
      CUPOLA_ADMIN_PASSWORD_FILE: join(work, 'password'),
      CUPOLA_HEALTH_LISTEN: await healthListen(`api-${index}`),
    });
  };
  const control = async (data: string, ...args: string[]): Promise<string> =>
    (await run(join(ROOT, 'cupola'), [...args, '--data', data])).stdout;
  const cli = (...args: string[]) =>
    run(join(ROOT, 'cupola'), args, {
      cwd: appFolder(work, 'hello'),
      env: {
        ...process.env,
        HOME: join(work, 'home'),
        XDG_CACHE_HOME: process.env.XDG_CACHE_HOME ?? join(process.env.HOME ?? '', '.cache'),
      },
    });

  beforeAll(async () => {
    work = mkdtempSync(join(tmpdir(), 'cupola-processes-'));
    mkdirSync(join(work, 'blobs'));
    writeFileSync(join(work, 'password'), `${PASSWORD}\n`);
    [postgres, redis] = await Promise.all([startPostgres({ durable: true }), startRedis()]);
    database = postgres.url(await postgres.database());
    for (let port = 0; port < 2; port++) {
      apiPorts.push(await freePort());
      memberPorts.push(await freePort());
    }
    // The first one makes the keys and the schema; the second one finds both.
    apis.push(await api(0));
    apis.push(await api(1));
    const scheduler = async (index: number): Promise<Program> =>
      program('apps/scheduler/src/main.ts', { CUPOLA_HEALTH_LISTEN: await healthListen(`scheduler-${index}`) });
    schedulers.push(...(await Promise.all([0, 1].map(scheduler))));
    const { token } = JSON.parse(
      await control(join(work, 'api-0'), 'cluster', 'token', '--role', 'agent,stager,router', '--json'),
    ) as { token: string };
    member = join(work, 'member');
    router = await freePort();
    const joined = spawn(
      join(ROOT, 'cupola'),
      [
        'join',
        ...memberPorts.map(port => `127.0.0.1:${port}`),
        ...['--token', token, '--data', member, '--no-install', '--json', '--listen', '127.0.0.1'],
        ...['--port', String(router), '--https-port', '0'],
      ],
      {
        env: {
          ...process.env,
          CUPOLA_CELL_HEALTH_LISTEN: await healthListen('cell'),
          CUPOLA_ROUTER_HEALTH_LISTEN: await healthListen('router'),
        },
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    running.add(joined);
    await new Promise<void>((resolve, reject) => {
      joined.stdout.once('data', () => resolve());
      joined.once('exit', code => reject(new Error(`join ended with ${code}`)));
    });
    await cli(
      'login',
      '-a',
      `http://127.0.0.1:${apiPorts[0]}`,
      '-u',
      'admin',
      '-p',
      PASSWORD,
      '-o',
      'cupola',
      '-s',
      'dev',
    );
    await cli('push', 'hello');
  });
  afterAll(async () => {
    if (member !== undefined) await control(member, 'down').catch(() => undefined);
    for (const child of running) child.kill('SIGKILL');
    await redis?.[Symbol.asyncDispose]();
    await postgres?.[Symbol.asyncDispose]();
    rmSync(work, { recursive: true, force: true, maxRetries: 5 });
  });

  /** Through the router. */
  const ask = (
    host: string,
    path = '/',
    headers: Record<string, string> = {},
  ): Promise<{ status: number; body: string; id: string }> =>
    new Promise((resolve, reject) => {
      const request = http.get(
        { host: '127.0.0.1', port: router, path, headers: { host, ...headers }, agent: false },
        response => {
          let body = '';
          response.on('data', (chunk: Buffer) => {
            body += chunk;
          });
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, body, id: String(response.headers['x-vcap-request-id']) }),
          );
          response.on('error', reject);
        },
      );
      request.on('error', reject);
    });
  async function askedMeanwhile(work: () => Promise<unknown>): Promise<{ asked: number; failed: number[] }> {
    let isOver = false;
    const statuses: number[] = [];
    const asking = (async () => {
      while (!isOver) statuses.push((await ask('hello.localhost')).status);
    })();
    await work().finally(() => {
      isOver = true;
    });
    await asking;
    return { asked: statuses.length, failed: statuses.filter(status => status !== 200) };
  }
  const instances = (count: number) =>
    until(`${count} instances answer`, async () => {
      const bodies = await Promise.all(
        Array.from({ length: 4 * count }, async () => (await ask('hello.localhost')).body),
      );
      return new Set(bodies).size === count;
    });

  test('an app runs, and the API answers through the router', async () => {
    expect((await ask('hello.localhost')).body).toMatch(/^Hello from instance 0/);
    expect((await ask('api.localhost', '/v3/info')).status).toBe(200);
    expect((await cli('logs', 'hello', '--recent')).stdout).toMatch(/\[APP\/PROC\/WEB\/0\]/);
  });

  test.each([
    ['api-0', /^cupola_api_requests_total\{.*route="\/v3\/apps.*status="2xx"\} [1-9]/m],
    ['api-1', /^cupola_instances\{state="RUNNING"\} 1$/m],
    ['scheduler-0', /^cupola_scheduler_leading [01]$/m],
    ['scheduler-1', /^cupola_scheduler_leading [01]$/m],
    ['cell', /^cupola_agent_instances\{state="RUNNING"\} 1$[\s\S]*^cupola_stager_builds_total\{outcome="staged"\} 1$/m],
    ['router', /^cupola_router_requests_total\{app="[0-9a-f-]{36}",status="2xx"\} [1-9]/m],
  ])('%s says that it is ready, and shows what it does', async (name, shown) => {
    expect((await health(name, '/healthz')).status).toBe(200);
    expect(await health(name, '/readyz')).toEqual({ status: 200, body: 'ready\n' });
    await until(`${name} shows it`, async () => shown.test((await health(name, '/metrics')).body));
  });

  test('the id that the router gives a request is in the log of the API that answered it', async () => {
    const { id } = await ask('api.localhost', '/v3/info');
    expect(id).toMatch(/^[0-9a-f-]{36}/);
    await until('an API has logged it', async () =>
      apis.some(one => one.said().some(line => line.includes(`"requestId":"${id.split('::')[0]}`))),
    );
  });

  test('an API that is killed is no end of anything: the other one answers, and a push goes on', async () => {
    const [, second] = apis as [Program, Program];
    const { asked, failed } = await askedMeanwhile(async () => {
      second.kill('SIGKILL');
      await cli('push', 'hello', '--strategy', 'rolling');
      expect((await ask('api.localhost', '/v3/info')).status).toBe(200);
      await second.start();
      const [first] = apis as [Program];
      first.kill('SIGKILL');
      await until(
        'the API answers through the router',
        async () => (await ask('api.localhost', '/v3/info')).status === 200,
      );
      await first.start();
    });
    expect(failed).toEqual([]);
    expect(asked).toBeGreaterThan(0);
  });

  test('a scheduler that is killed, or frozen, is followed by the other one', async () => {
    const [first, second] = schedulers as [Program, Program];
    first.kill('SIGKILL');
    await cli('scale', 'hello', '-i', '3');
    await instances(3);
    await first.start();
    second.kill('SIGSTOP');
    await cli('scale', 'hello', '-i', '2');
    await instances(2);
    // What it decided before it was frozen is refused: its fence is old.
    second.kill('SIGCONT');
    await cli('scale', 'hello', '-i', '1');
    await instances(1);
  });

  test('Redis that is away costs no request, and a push is staged once it is back', async () => {
    const { failed } = await askedMeanwhile(async () => {
      await redis.kill();
      const push = cli('push', 'hello');
      await new Promise(resolve => setTimeout(resolve, 1_000));
      await until('an API says that Redis is away, and goes on', async () => {
        const { status, body } = await health('api-0', '/readyz');
        return status === 200 && body.startsWith('ready, but Redis at ');
      });
      await redis.start();
      await push;
    });
    // A push without a strategy stops the old version first, as cf does; requests are held meanwhile.
    expect(failed).toEqual([]);
    await instances(1);
  });

  test('PostgreSQL that is killed costs no request, and everything goes on when it is back', async () => {
    const { failed } = await askedMeanwhile(async () => {
      await postgres.stop('SIGKILL');
      await until(
        'the API says that it is away',
        async () => (await ask('api.localhost', '/v3/organizations')).status >= 401,
      );
      for (const name of ['api-0', 'api-1', 'scheduler-0', 'scheduler-1']) {
        await until(`${name} says what is missing`, async () => {
          const { status, body } = await health(name, '/readyz');
          return status === 503 && /^not ready: (the database|what it needs) /.test(body);
        });
        expect((await health(name, '/healthz')).status).toBe(200);
      }
      // What is known without it is shown; apps go on.
      expect((await health('api-0', '/metrics')).body).toMatch(/^cupola_api_requests_total/m);
      await until('the router is ready', async () => (await health('router', '/readyz')).status === 200);
      await postgres.start();
      await until('the API answers', async () =>
        cli('scale', 'hello', '-i', '2').then(
          () => true,
          () => false,
        ),
      );
    });
    expect(failed).toEqual([]);
    await instances(2);
  });
});
