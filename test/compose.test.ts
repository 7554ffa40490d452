/**
 * docker-compose.yml, run for real: an engine of our own, the images of others replaced by a stand-in (test/compose/stand-in.ts says what that proves), ours
 * built from the Dockerfile. One part after another is killed while a client outside asks an app without pause; in the end nothing may be left.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DockerEngine, dockerMissing, startDockerEngine } from '@cupola/sandbox/docker/engine-server';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeStandIn } from './compose/stand-in.ts';
import { appFolder, namespacesOf, networkName, ROOT, run, until } from './platform.ts';

/** Of Debian, as CI has it; `docker compose` to see the other one. */
const [COMPOSE = '', ...COMPOSE_ARGS] = (process.env.CUPOLA_TEST_COMPOSE ?? 'docker-compose').split(' ');
const STAND_IN = 'cupola-stand-in:test';
const IMAGE = 'cupola-test:local';
const HOST = 'hello.localhost';
/** Images are made, and libraries fetched, on a machine that does other things too. */
const MAKE_MS = 600_000;
const CELLS = ['agent-1', 'agent-2', 'stager-1', 'stager-2'];
const SERVICES = [
  ...['postgres', 'redis', 's3', 'api-1', 'api-2', 'scheduler-1', 'scheduler-2', 'router-1', 'router-2', 'git'],
  ...CELLS,
];

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map(server => (server.address() as { port: number }).port);
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))));
  return ports;
}

describe.skipIf(dockerMissing() !== null)('docker-compose.yml', () => {
  let engine: DockerEngine;
  let work: string;
  let data: string;
  let environment: NodeJS.ProcessEnv;
  let routers: number[];
  let password: string;
  /** Somebody else's on the same engine. */
  let stranger: string;

  const compose = async (...args: string[]): Promise<string> =>
    (await run(COMPOSE, [...COMPOSE_ARGS, ...args], { cwd: ROOT, env: environment, maxBuffer: 64 * 1024 * 1024 }))
      .stdout;
  const cupola = async (...args: string[]): Promise<string> =>
    (await run(join(ROOT, 'cupola'), args, { cwd: appFolder(work, 'hello'), env: environment })).stdout;
  const lines = async (...args: string[]): Promise<string[]> =>
    (await engine.docker(...args)).split('\n').filter(Boolean).sort();
  const containerOf = (service: string): string => `cupola-test_${service}_1`.replaceAll('_', separator);
  /** Compose 1 joins names with `_`, 2 with `-`. */
  const separator = COMPOSE === 'docker-compose' ? '_' : '-';
  const isHealthy = async (service: string): Promise<boolean> =>
    (await engine.docker('inspect', '--format', '{{.State.Health.Status}}', containerOf(service))).trim() === 'healthy';
  const allHealthy = () =>
    until('all parts are healthy', async () => (await Promise.all(SERVICES.map(isHealthy))).every(Boolean), 180_000);
  /** Of apps, as the engine sees them. */
  const instances = (): Promise<string[]> =>
    lines('ps', '--quiet', '--no-trunc', '--filter', 'label=io.cupola.sandbox');

  beforeAll(async () => {
    work = mkdtempSync(join(tmpdir(), 'cupola-compose-'));
    data = join(work, 'data');
    engine = await startDockerEngine({ networks: true });
    mkdirSync(data);
    // As it is where systemd has begun: what is mounted in a container there is seen by all.
    await run('mount', ['--bind', data, data]);
    await run('mount', ['--make-shared', data]);
    mkdirSync(join(work, 'image'));
    await makeStandIn(engine, STAND_IN, join(work, 'image'));
    const names = [
      ...['API_1', 'API_2', 'ROUTER_1', 'ROUTER_2', 'ROUTER_1_HTTPS', 'ROUTER_2_HTTPS'],
      ...['AGENT_1_HEALTH', 'AGENT_2_HEALTH', 'STAGER_1_HEALTH', 'STAGER_2_HEALTH'],
    ];
    const ports = await freePorts(names.length);
    routers = [ports[2] ?? 0, ports[3] ?? 0];
    environment = {
      ...process.env,
      ...Object.fromEntries(names.map((name, index) => [`CUPOLA_${name}_PORT`, String(ports[index])])),
      ...Object.fromEntries(['NODE', 'POSTGRES', 'REDIS', 'S3'].map(name => [`CUPOLA_${name}_IMAGE`, STAND_IN])),
      DOCKER_HOST: engine.host,
      COMPOSE_PROJECT_NAME: 'cupola-test',
      CUPOLA_DOCKER_SOCKET: engine.host.replace('unix://', ''),
      CUPOLA_DOCKER_ROOT: engine.dataRoot,
      CUPOLA_IMAGE: IMAGE,
      CUPOLA_PACKAGES: '',
      CUPOLA_BUILD_NETWORK: 'host',
      CUPOLA_DATA: data,
      CUPOLA_HOME: join(work, 'home'),
    };
    stranger = (
      await engine.docker('run', '--detach', '--label', 'io.cupola.owner=other', STAND_IN, 'sleep', '1d')
    ).trim();
    await compose('build', 'prepare');
    await compose('up', '--detach');
    await allHealthy();
  }, MAKE_MS);
  afterAll(async () => {
    await compose('down', '--volumes').catch(() => undefined);
    await engine?.[Symbol.asyncDispose]();
    await run('umount', ['--lazy', data]).catch(() => undefined);
    rmSync(work, { recursive: true, force: true, maxRetries: 5 });
  }, MAKE_MS);

  const ask = (router: number, host = HOST, path = '/'): Promise<{ status: number; body: string }> =>
    new Promise((resolve, reject) => {
      const request = http.get(
        { host: '127.0.0.1', port: routers[router], path, headers: { host }, agent: false },
        answer => {
          let body = '';
          answer.on('data', (chunk: Buffer) => {
            body += chunk;
          });
          answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }));
          answer.on('error', reject);
        },
      );
      request.on('error', reject);
    });
  const bothAnswer = (router: number) =>
    until(`both instances answer through router ${router + 1}`, async () => {
      const bodies = await Promise.all(Array.from({ length: 8 }, async () => (await ask(router)).body));
      return [0, 1].every(index => bodies.some(body => body.startsWith(`Hello from instance ${index}`)));
    });
  /** What the app did not answer with 200, through that router, while `work` was done. */
  async function failedMeanwhile(router: number, work: () => Promise<unknown>): Promise<unknown[]> {
    let isOver = false;
    const failed: unknown[] = [];
    let asked = 0;
    const asking = (async () => {
      for (; !isOver; asked++) {
        const status = await ask(router).then(
          ({ status }) => status,
          (error: unknown) => error,
        );
        if (status !== 200) failed.push(status);
      }
    })();
    await work().finally(() => {
      isOver = true;
    });
    await asking;
    expect(asked).toBeGreaterThan(0);
    return failed;
  }
  /** Killed, and started again once `meanwhile` is done; `docker kill` is one that the engine does not repair. */
  async function lose(service: string, meanwhile: () => Promise<unknown>): Promise<void> {
    await engine.docker('kill', containerOf(service));
    await meanwhile();
    await engine.docker('start', containerOf(service));
    await until(`${service} is healthy again`, () => isHealthy(service));
  }

  test('an app is pushed, runs on both agents, and both routers lead there', async () => {
    password = (await compose('exec', '-T', 'api-1', 'cat', '/run/cupola/admin-password')).trim();
    await cupola(
      'login',
      '-a',
      `http://api.localhost:${routers[0]}`,
      '-u',
      'admin',
      '-p',
      password,
      '-o',
      'cupola',
      '-s',
      'dev',
    );
    await cupola('push', 'hello', '-i', '2');
    await bothAnswer(0);
    await bothAnswer(1);
    const cells = JSON.parse(
      await compose('exec', '-T', 'api-1', 'cupola', 'cells', '--data', '/data', '--json'),
    ) as Array<{
      name: string;
      placedCopies: number;
    }>;
    expect(cells.map(({ name, placedCopies }) => `${name}: ${placedCopies}`).sort()).toEqual([
      'agent-1: 1',
      'agent-2: 1',
    ]);
    expect(await instances()).toHaveLength(2);
    expect(await cupola('logs', 'hello', '--recent')).toContain('[APP/PROC/WEB/');
  });

  test('an API, a scheduler, a router and a stager are killed: every request is answered, and the platform goes on', async () => {
    const failed = await failedMeanwhile(0, async () => {
      await lose('api-1', async () => {
        await until('the API answers', async () => (await ask(0, 'api.localhost', '/v3/info')).status === 200);
      });
      await Promise.all([
        lose('router-2', async () => undefined),
        lose('stager-1', () => cupola('push', 'other', '--no-route')),
      ]);
      await lose('scheduler-1', () => cupola('scale', 'hello', '-i', '3'));
      await lose('scheduler-2', () => cupola('scale', 'hello', '-i', '2'));
    });
    expect(failed).toEqual([]);
    await bothAnswer(1);
  });

  test('an agent is killed: every request is answered, and the next one has the same containers', async () => {
    await until('two instances of one app, and one of the other run', async () => (await instances()).length === 3);
    const before = await instances();
    expect(await failedMeanwhile(0, () => lose('agent-1', () => bothAnswerLess()))).toEqual([]);
    await bothAnswer(0);
    expect(await instances()).toEqual(before);
    async function bothAnswerLess(): Promise<void> {
      for (let times = 0; times < 50; times++) await ask(1);
    }
  });

  test('restarted as a whole it comes back by itself, without a token', async () => {
    await compose('restart');
    await allHealthy();
    await bothAnswer(0);
    await bothAnswer(1);
  });

  test('cluster down leaves nothing, also of an agent that was killed; what is not of the cluster stays', async () => {
    const installations = CELLS.map(
      cell =>
        (JSON.parse(readFileSync(join(data, cell, 'member.json'), 'utf8')) as { installation: string }).installation,
    );
    await engine.docker('kill', containerOf('agent-1'), containerOf('agent-2'));
    expect((await instances()).length).toBeGreaterThan(0);
    expect(await cupola('cluster', 'down')).toContain('nothing of it is left');
    expect(await lines('ps', '--all', '--quiet', '--no-trunc')).toEqual([stranger]);
    expect(await lines('volume', 'ls', '--quiet')).toEqual([]);
    expect(await lines('network', 'ls', '--format', '{{.Name}}')).toEqual(['bridge', 'host', 'none']);
    expect(await lines('images', '--format', '{{.Repository}}:{{.Tag}}')).toEqual([STAND_IN]);
    expect(readdirSync(data)).toEqual([]);
    expect(installations.flatMap(namespacesOf)).toEqual([]);
    const { stdout: tables } = await run('nft', ['list', 'tables']);
    const { stdout: links } = await run('ip', ['-o', 'link']);
    for (const name of installations.map(networkName)) {
      expect(tables).not.toContain(`cupola_${name}`);
      expect(links).not.toContain(`cu${name}-`);
    }
  });
});
