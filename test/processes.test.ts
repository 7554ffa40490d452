/**
 * The parts of a cluster, each a process of its own, on a real PostgreSQL and a real Redis: two APIs, two schedulers, and a machine that has joined and runs
 * agent, stager and router. One after another is killed with -9 or frozen, while a client outside asks the app without pause.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from '@cupola/process/free-port';
import { hasPostgres } from '@cupola/store/postgres-server';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ControlPlane, PASSWORD, startControlPlane } from './cluster/control-plane.ts';
import { joinCluster, type Member } from './cluster/member.ts';
import type { Program } from './cluster/programs.ts';
import { appFolder, ROOT, run, shimPids, until } from './platform.ts';

/** Longer than a lease. */
const FROZEN_MS = 16_000;
/** Of a limit that only what hangs reaches. */
const LONG_MS = 180_000;
/** Between two requests of the client. */
const PACE_MS = 10;

describe.skipIf(!hasPostgres() || process.getuid?.() !== 0)('parts as processes', () => {
  let work: string;
  let plane: ControlPlane;
  let member: Member;
  /** Where the cell and the router of the member are asked how they are. */
  const memberHealth: Record<string, number> = {};

  const health = async (name: string, path: string): Promise<{ status: number; body: string }> => {
    const port = memberHealth[name];
    if (port === undefined) return plane.health(name, path);
    const answer = await fetch(`http://127.0.0.1:${port}${path}`);
    return { status: answer.status, body: await answer.text() };
  };
  const cliOf =
    (home: string) =>
    (...args: string[]) =>
      run(join(ROOT, 'cupola'), args, {
        cwd: appFolder(work, 'hello'),
        env: { ...process.env, CUPOLA_HOME: join(work, home) },
      });
  const cli = cliOf('cli-home');

  beforeAll(async () => {
    work = mkdtempSync(join(tmpdir(), 'cupola-processes-'));
    // Nobody starts again what a test has killed, but the test.
    const port = await freePort();
    plane = await startControlPlane({ work, appsPort: port, isKept: false, durable: true });
    for (const name of ['cell', 'router']) memberHealth[name] = await freePort();
    const data = join(work, 'member');
    mkdirSync(data, { mode: 0o755 });
    member = await joinCluster(plane, {
      data,
      port,
      environment: {
        CUPOLA_CELL_HEALTH_LISTEN: `127.0.0.1:${memberHealth.cell}`,
        CUPOLA_ROUTER_HEALTH_LISTEN: `127.0.0.1:${memberHealth.router}`,
      },
    });
    await cli('login', '-a', plane.url, '-u', 'admin', '-p', PASSWORD, '-o', 'cupola', '-s', 'dev');
    await cli('push', 'hello');
  });
  afterAll(async () => {
    await member?.down().catch(() => undefined);
    await plane?.[Symbol.asyncDispose]();
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
        { host: '127.0.0.1', port: member.port, path, headers: { host, ...headers }, agent: false },
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
      for (; !isOver; await pause(PACE_MS)) statuses.push((await ask('hello.localhost')).status);
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
    await until(`${name} is ready`, async () => {
      const said = await health(name, '/readyz');
      if (said.status === 200 && said.body === 'ready\n') return true;
      throw new Error(JSON.stringify(said));
    });
    await until(`${name} shows it`, async () => shown.test((await health(name, '/metrics')).body));
  });

  test('the id that the router gives a request is in the log of the API that answered it', async () => {
    const { id } = await ask('api.localhost', '/v3/info');
    expect(id).toMatch(/^[0-9a-f-]{36}/);
    await until('an API has logged it', async () =>
      plane.apis.some(one => one.said().some(line => line.includes(`"requestId":"${id.split('::')[0]}`))),
    );
  });

  test('an API that is killed is no end of anything: the other one answers, and a push goes on', async () => {
    const [first, second] = plane.apis as [Program, Program];
    const { asked, failed } = await askedMeanwhile(async () => {
      second.kill('SIGKILL');
      await cli('push', 'hello', '--strategy', 'rolling');
      expect((await ask('api.localhost', '/v3/info')).status).toBe(200);
      await second.start();
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

  test('an API that is frozen for longer than a lease is no end of anything: what it does not answer the other one does, and no instance is moved', async () => {
    const [, second] = plane.apis as [Program, Program];
    // Through the router, which has to notice; the operator's balancer would take it out.
    const throughRouter = cliOf('router-home');
    const api = `http://api.localhost:${member.port}`;
    await throughRouter('login', '-a', api, '-u', 'admin', '-p', PASSWORD, '-o', 'cupola', '-s', 'dev');
    // The one before, of the push above, may still be ending.
    const [instance] = await until('one instance is left', async () => {
      const pids = shimPids(member.data);
      return pids.length === 1 ? pids : null;
    });
    const { failed } = await askedMeanwhile(async () => {
      second.kill('SIGSTOP');
      const frozen = pause(FROZEN_MS);
      // One that it had taken may be a 502, as a client of the matrix repeats it.
      await until('the app is scaled', () => throughRouter('scale', 'hello', '-i', '2'), LONG_MS);
      await instances(2);
      await frozen;
      second.kill('SIGCONT');
      await until('the app is scaled back', () => throughRouter('scale', 'hello', '-i', '1'), LONG_MS);
      await instances(1);
    });
    expect(failed).toEqual([]);
    expect(shimPids(member.data)).toContain(instance);
  });

  test('a scheduler that is killed, or frozen, is followed by the other one', async () => {
    const [first, second] = plane.schedulers as [Program, Program];
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
      await plane.redis.kill();
      const push = cli('push', 'hello');
      await new Promise(resolve => setTimeout(resolve, 1_000));
      await until('an API says that Redis is away, and goes on', async () => {
        const { status, body } = await health('api-0', '/readyz');
        return status === 200 && body.startsWith('ready, but Redis at ');
      });
      await plane.redis.start();
      await push;
    });
    // A push without a strategy stops the old version first, as cf does; requests are held meanwhile.
    expect(failed).toEqual([]);
    await instances(1);
  });

  test('PostgreSQL that is killed costs no request, and everything goes on when it is back', async () => {
    const { failed } = await askedMeanwhile(async () => {
      await plane.postgres.stop('SIGKILL');
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
      await plane.postgres.start();
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
