/**
 * The cluster form of the platform that the tests are run against: two APIs and two schedulers on PostgreSQL, Redis and S3, two machines that have joined with
 * all roles. All on this machine, so that it can be looked at as the embedded form is. What ends is started again, as an init system would.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@cupola/process/free-port';
import { createClient } from '../client.ts';
import { type Platform, type PlatformFacts, type StartOptions, until } from '../platform.ts';
import { askApi } from '../sockets.ts';
import { PASSWORD, startControlPlane } from './control-plane.ts';
import { joinCluster, type Member } from './member.ts';

const MEMBERS = 2;

export async function startCluster(
  args: readonly string[],
  { backup, within = tmpdir(), env = {}, ssh = false }: StartOptions,
) {
  if (args.length > 0 || backup !== undefined)
    throw new Error(`a cluster has no ${[...args, ...(backup === undefined ? [] : ['backup'])].join(' ')}`);
  await using starting = new AsyncDisposableStack();
  const data = mkdtempSync(join(within, 'cupola-'));
  starting.defer(() => rmSync(data, { recursive: true, force: true, maxRetries: 5 }));
  const ports = await Promise.all(Array.from({ length: MEMBERS }, freePort));
  const [appsPort = 0] = ports;
  const httpsPorts = await Promise.all(ports.map(freePort));
  const https = {
    CUPOLA_HTTPS_PORT: String(httpsPorts[0]),
    CUPOLA_ROUTERS_HTTPS: httpsPorts.map(port => `127.0.0.1:${port}`).join(','),
  };
  const environment = { ...https, ...env };
  const plane = starting.use(await startControlPlane({ work: data, environment, appsPort, isKept: true, ssh }));
  const members = await Promise.all(
    ports.map(async (port, index) => {
      const folder = join(data, `member-${index}`);
      mkdirSync(folder, { mode: 0o755 });
      const member = await joinCluster(plane, {
        data: folder,
        port,
        httpsPort: httpsPorts[index] ?? 0,
        environment: env,
      });
      starting.defer(() => member.down());
      return member;
    }),
  );
  const programs = [...plane.apis, ...plane.schedulers, plane.git];
  const [front] = members as [Member, ...Member[]];
  const places = { api: plane.url, port: front.port, apiPort: plane.port, httpsPort: front.httpsPort };

  const partsOf = async (member: Member, index: number): Promise<PlatformFacts['parts']> =>
    ((await member.status())?.parts ?? []).flatMap(({ name, pid, restarts }) =>
      pid === null ? [] : [{ name: `${name}-${index}`, pid, restarts }],
    );
  const status = async (): Promise<PlatformFacts> => ({
    data,
    pid: process.pid,
    ...places,
    parts: [
      ...programs.flatMap(({ name, pid, restarts }) => {
        const now = pid();
        return now === null ? [] : [{ name, pid: now, restarts: restarts() }];
      }),
      ...(await Promise.all(members.map(partsOf))).flat(),
    ],
    instances: await instances(plane.sockets),
  });
  const client = createClient({ home: join(data, 'cli-home'), places: () => places, password: () => PASSWORD });
  const facts = await status();
  const running = starting.move();
  return {
    ...client,
    data,
    machines: members.map(member => member.data),
    facts,
    status,
    pidOf: part =>
      until(`${part} has a pid`, async () => {
        const program = programs.find(({ name }) => name === part);
        if (program !== undefined) return program.pid();
        const all = await Promise.all(members.map(partsOf));
        return all.flat().find(({ name }) => name === part)?.pid;
      }),
    supervisors: async () => {
      const all = await Promise.all(members.map(member => member.status()));
      return all.flatMap(found => (found === null ? [] : [found.pid]));
    },
    up: async () => {
      await Promise.all(programs.map(program => program.start()));
      await Promise.all(members.map(member => member.up()));
      client.forget();
    },
    down: async () => {
      await Promise.all(members.map(member => member.down()));
      await Promise.all(programs.map(program => program.stop()));
    },
    // One after another, as docs/how-to/cluster.md has it.
    restart: async () => {
      for (const program of programs) {
        await program.stop();
        await program.start();
      }
      for (const member of members) await member.restart();
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  } satisfies Platform;
}

/** As any API tells it; empty while none does. */
async function instances(sockets: readonly string[]): Promise<PlatformFacts['instances']> {
  for (const socketPath of sockets) {
    const answer = await askApi<Pick<PlatformFacts, 'instances'>>({ socketPath }, '/internal/instances').catch(
      () => null,
    );
    if (answer !== null) return answer.instances;
  }
  return [];
}
