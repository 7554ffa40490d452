/**
 * docker-compose.yml, run for real: an engine of our own, the images of others replaced by a stand-in, and ours made of the same files (test/compose/images.ts
 * says what that proves). What is asked is what that file decides: who waits for whom, who may read what, the networks, the mounts, what lives on and what is
 * left. How parts bear kills is asked without containers, in test/processes.test.ts and test/faults.
 *
 * `CUPOLA_TEST_ALL=1`: our image is built by the Dockerfile, with its libraries fetched. `CUPOLA_TEST_COMPOSE='docker compose'`: by the other Compose.
 */
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type DockerEngine, dockerMissing, startDockerEngine } from '@cupola/sandbox/docker/engine-server';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeImages } from './compose/images.ts';
import { appFolder, namespacesOf, networkName, ROOT, run, until } from './platform.ts';

/** Of Debian, as CI has it. */
const [COMPOSE = '', ...COMPOSE_ARGS] = (process.env.CUPOLA_TEST_COMPOSE ?? 'docker-compose').split(' ');
const IS_BUILT = process.env.CUPOLA_TEST_ALL === '1';
const STAND_IN = 'cupola-stand-in:test';
const IMAGE = 'cupola-test:local';
const HOST = 'hello.localhost';
const CELLS = ['agent-1', 'agent-2', 'stager-1', 'stager-2'];
const SERVICES = [
  ...['postgres', 'redis', 's3', 'api-1', 'api-2', 'scheduler-1', 'scheduler-2', 'router-1', 'router-2', 'git'],
  ...CELLS,
];
/** One of each, the agent of one of the instances, and both schedulers: without them no instance is moved, however long that agent takes to come back. */
const KILLED = ['api-1', 'scheduler-1', 'scheduler-2', 'router-2', 'stager-1', 'agent-1'];

/** Between those of the other tests' programs and those that the kernel gives to connections: it takes a while until a container has its port. */
const PORTS = { first: 31_000, count: 1_700 } as const;
/** Of whatever takes as long as the machine needs; a limit of the tests', not of what they ask. */
const LONG_MS = 600_000;
/** Between two requests of a client, that they leave something of the machine to the others. */
const PACE_MS = 20;

async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  for (let port = PORTS.first + Math.floor(Math.random() * PORTS.count); ports.length < count; port++) {
    const candidate = PORTS.first + ((port - PORTS.first) % PORTS.count);
    const server = createServer().listen(candidate, '0.0.0.0');
    const isFree = await Promise.race([
      once(server, 'listening').then(() => true),
      once(server, 'error').then(() => false),
    ]).catch(() => false);
    if (!isFree) continue;
    ports.push(candidate);
    server.close();
    await once(server, 'close');
  }
  return ports;
}

describe.skipIf(dockerMissing() !== null)('docker-compose.yml', () => {
  let engine: DockerEngine;
  let work: string;
  let data: string;
  /** Undefined as long as nothing was started by it: without it another engine would be meant. */
  let environment: NodeJS.ProcessEnv | undefined;
  let routers: number[];
  /** Of the agents' health listeners, on this machine. */
  let agents: number[];
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
  /** As the engine tells it, which asks them each few seconds. */
  const allHealthy = () =>
    until(
      'all parts are healthy',
      async () =>
        (await lines('inspect', '--format', '{{.State.Health.Status}}', ...SERVICES.map(containerOf))).every(
          status => status === 'healthy',
        ),
      LONG_MS,
    );
  const inApi = (...command: string[]): Promise<string> => engine.docker('exec', containerOf('api-2'), ...command);
  /** Of apps, as the engine sees them. */
  const instances = (): Promise<string[]> =>
    lines('ps', '--quiet', '--no-trunc', '--filter', 'label=io.cupola.sandbox');

  beforeAll(async () => {
    await run(COMPOSE, [...COMPOSE_ARGS, 'version']).catch((cause: unknown) => {
      throw new Error(`${COMPOSE} does not run here: apt-get install docker-compose`, { cause });
    });
    work = mkdtempSync(join(tmpdir(), 'cupola-compose-'));
    data = join(work, 'data');
    engine = await startDockerEngine({ networks: true });
    mkdirSync(data);
    // As it is where systemd has begun: what is mounted in a container there is seen by all.
    await run('mount', ['--bind', data, data]);
    await run('mount', ['--make-shared', data]);
    mkdirSync(join(work, 'image'));
    // The launcher makes the programs that go into the image.
    await run(join(ROOT, 'cupola'), ['--help']);
    await makeImages(engine, {
      root: ROOT,
      folder: join(work, 'image'),
      name: STAND_IN,
      ours: IS_BUILT ? null : IMAGE,
    });
    const names = [
      ...['API_1', 'API_2', 'ROUTER_1', 'ROUTER_2', 'ROUTER_1_HTTPS', 'ROUTER_2_HTTPS'],
      ...['AGENT_1_HEALTH', 'AGENT_2_HEALTH', 'STAGER_1_HEALTH', 'STAGER_2_HEALTH', 'S3'],
    ];
    const ports = await freePorts(names.length);
    routers = [ports[2] ?? 0, ports[3] ?? 0];
    agents = [ports[6] ?? 0, ports[7] ?? 0];
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
      // Compose 1 waits for no answer of the engine longer than a minute.
      COMPOSE_HTTP_TIMEOUT: '600',
    };
    stranger = (
      await engine.docker('run', '--detach', '--label', 'io.cupola.owner=other', STAND_IN, 'sleep', '1d')
    ).trim();
    if (IS_BUILT) await compose('build', 'prepare');
    await compose('up', '--detach');
  }, LONG_MS);
  afterAll(async () => {
    if (environment !== undefined) await compose('down', '--volumes').catch(() => undefined);
    await engine?.[Symbol.asyncDispose]();
    if (work === undefined) return;
    await run('umount', ['--lazy', join(work, 'data')]).catch(() => undefined);
    rmSync(work, { recursive: true, force: true, maxRetries: 5 });
  }, LONG_MS);

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
    until(
      `both instances answer through router ${router + 1}`,
      async () => {
        const bodies = await Promise.all(Array.from({ length: 8 }, async () => (await ask(router)).body));
        return [0, 1].every(index => bodies.some(body => body.startsWith(`Hello from instance ${index}`)));
      },
      LONG_MS,
    );
  const isReady = async (agent: number): Promise<boolean> =>
    (await fetch(`http://127.0.0.1:${agents[agent]}/readyz`)).ok;
  const answers = (what: string) =>
    until(what, async () => (await ask(0, 'api.localhost', '/v3/info')).status === 200, LONG_MS);
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
        await pause(PACE_MS);
      }
    })();
    await work().finally(() => {
      isOver = true;
    });
    await asking;
    expect(asked).toBeGreaterThan(0);
    return failed;
  }

  test(
    'an app is pushed, runs on both agents, and both routers lead there',
    async () => {
      await answers('the API answers');
      // Else all instances may be placed on the one that was first.
      for (const agent of [0, 1]) await until(`agent ${agent + 1} is ready`, () => isReady(agent), LONG_MS);
      const password = (await inApi('cat', '/run/cupola/admin-password')).trim();
      const api = `http://api.localhost:${routers[0]}`;
      await cupola('login', '-a', api, '-u', 'admin', '-p', password, '-o', 'cupola', '-s', 'dev');
      // On the Node.js of the image: a buildpack would bring 120 MB to each agent, which is no matter of Compose.
      await cupola('push', 'hello', '-i', '2', '-b', 'binary_buildpack', '-c', 'node server.js');
      await bothAnswer(0);
      await bothAnswer(1);
      const cells = JSON.parse(await inApi('cupola', 'cells', '--data', '/data', '--json')) as Array<{
        name: string;
        placedCopies: number;
      }>;
      expect(cells.map(({ name, placedCopies }) => `${name}: ${placedCopies}`).sort()).toEqual([
        'agent-1: 1',
        'agent-2: 1',
      ]);
      expect(await instances()).toHaveLength(2);
      await until('its log is read', async () =>
        (await cupola('logs', 'hello', '--recent')).includes('[APP/PROC/WEB/'),
      );
      await allHealthy();
    },
    LONG_MS,
  );

  test(
    'one of each part is killed: every request is answered; the next `up` brings them back without a token, to the same containers of apps',
    async () => {
      const before = await instances();
      const failed = await failedMeanwhile(0, async () => {
        await engine.docker('kill', ...KILLED.map(containerOf));
        // At once, as the engine does it with what somebody else has killed; `up` waits for the APIs first, and brings the schedulers.
        await engine.docker('start', containerOf('agent-1'));
        await until('the agent is ready again', () => isReady(0), LONG_MS);
        await answers('the other API answers');
        await compose('up', '--detach');
        await bothAnswer(0);
      });
      expect(failed).toEqual([]);
      await bothAnswer(1);
      expect(await instances()).toEqual(before);
      await allHealthy();
    },
    LONG_MS,
  );

  test(
    'cluster down leaves nothing, also of an agent that was killed; what is not of the cluster stays',
    async () => {
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
    },
    LONG_MS,
  );
});
