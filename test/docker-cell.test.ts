/**
 * A platform whose apps and builds run in a Docker engine: what is killed comes back, nothing is dropped, nothing is left. And another machine that joins it,
 * with a sandbox of its own choice.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DockerEngine, startDockerEngine } from '@cupola/sandbox/docker/engine-server';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { askOn } from './ask-on.ts';
import { type Network, openNetwork } from './hosts.ts';
import { CONFIG, imageLayers } from './image-layers.ts';
import { appPids, namespacesOf, type Platform, ROOT, shimPids, startPlatform, traces, until } from './platform.ts';
import { type Registry, startRegistry } from './registry.ts';

const HOST = 'node-hello.localhost';

describe.runIf(process.getuid?.() === 0)('with --sandbox docker', () => {
  let engine: DockerEngine;
  let platform: Platform;
  let network: Network;
  let registry: Registry;
  beforeAll(async () => {
    [engine, network, registry] = await Promise.all([startDockerEngine(), openNetwork(), startRegistry()]);
    await registry.push('team/app', '1', { layers: imageLayers(), config: CONFIG });
    platform = await startPlatform(
      ['--sandbox', 'docker', '--docker-host', engine.host, '--cluster-listen', `${network.address}:0`],
      { env: { CUPOLA_REGISTRIES: registry.host } },
    );
    await platform.login();
    await platform.cupola(['push'], { cwd: join(ROOT, 'examples/node-hello') });
  });
  afterAll(async () => {
    await network?.[Symbol.asyncDispose]();
    await platform?.[Symbol.asyncDispose]();
    await registry?.[Symbol.asyncDispose]();
    await engine?.[Symbol.asyncDispose]();
  });

  const lines = async (...args: string[]): Promise<string[]> =>
    (await engine.docker(...args)).split('\n').filter(Boolean).sort();
  const containers = (): Promise<string[]> => lines('ps', '--quiet', '--no-trunc');
  /** One that has staged, or was replaced, may be ending. */
  const running = (count: number): Promise<true> =>
    until(`${count} containers run`, async () => (await containers()).length === count || null);
  const answers = (): Promise<true> =>
    until('it answers', async () => (await platform.ask(HOST)).status === 200 || null);
  const isRunning = async (count: number): Promise<boolean> =>
    (await platform.status()).instances.filter(({ state }) => state === 'RUNNING').length === count;

  test('what was pushed runs in a container, and status and doctor say what that is worth', async () => {
    await answers();
    await running(1);
    const { stdout: status } = await platform.cupola(['status', '--data', platform.data]);
    expect(status).toMatch(/apps run in docker \(Docker /);
    const { stdout: doctor } = await platform.cupola(['doctor', '--data', platform.data]);
    expect(doctor).toMatch(/docker +works, used[\s\S]*Apps run in docker[\s\S]*no user namespace/);
  });

  test('kill -9 of the agent: every request is answered, and the next agent has the same container', async () => {
    const before = await containers();
    const ledger = askOn(platform, HOST);
    const cell = await platform.pidOf('cell');
    process.kill(cell, 'SIGKILL');
    await until('the cell has a new pid', async () => (await platform.pidOf('cell')) !== cell);
    await until('the API lists the instance as RUNNING', () => isRunning(1));
    expect((await ledger.stop()).filter(answer => answer !== 200)).toEqual([]);
    expect(await containers()).toEqual(before);
  });

  test('kill -9 of the engine, and its return: every request is answered, and nothing was started again', async () => {
    const before = await containers();
    const ledger = askOn(platform, HOST);
    await engine.kill();
    await answers();
    await engine.startAgain();
    await until('the API lists the instance as RUNNING', () => isRunning(1));
    expect((await ledger.stop()).filter(answer => answer !== 200)).toEqual([]);
    expect(await containers()).toEqual(before);
  });

  test('an app that ends while the engine is away is started again once it is back', async () => {
    const before = await containers();
    const pid = Number((await engine.docker('inspect', '--format', '{{.State.Pid}}', before[0] ?? '')).trim());
    await engine.kill();
    process.kill(pid, 'SIGKILL');
    await engine.startAgain();
    await until('another container runs', async () => {
      const now = await containers();
      return now.length === 1 && now[0] !== before[0];
    });
    await answers();
  });

  test('scaled to three, three containers answer', async () => {
    await platform.cupola(['scale', 'node-hello', '-i', '3']);
    await until('all run', () => isRunning(3));
    await running(3);
    const seen = new Set<string>();
    await until('each has answered', async () => seen.add((await platform.ask(HOST)).body).size === 3);
  });

  test('an app that is an image runs in a container too, on the root of its own', async () => {
    await platform.cupola(['push', 'image', '--docker-image', `${registry.host}/team/app:1`, '-m', '64M']);
    expect((await platform.ask('image.localhost', '/name')).body).toBe('one two words');
    expect((await platform.ask('image.localhost', '/file/opt/added')).body).toBe('there');
    await running(4);
    await platform.cupola(['delete', 'image', '-f', '-r']);
    await until('its container is gone', async () => (await containers()).length === 3);
  });

  test('a machine that joins runs the same app in the sandbox of its own', async () => {
    const cluster = async (...args: string[]): Promise<string> =>
      (await platform.cupola([...args, '--data', platform.data])).stdout;
    const { clusterPort } = (await platform.status()) as unknown as { clusterPort: number };
    const { token } = JSON.parse(await cluster('cluster', 'token', '--role', 'agent', '--json')) as { token: string };
    const host = await network.host();
    await host.join(`${network.address}:${clusterPort}`, token);
    await until(
      'both run the app',
      async () => {
        await platform.cupola(['restart', 'node-hello']);
        return (await isRunning(3)) && shimPids(host.data).length > 0 && (await containers()).length > 0;
      },
      200_000,
    );
    const seen = new Set<string>();
    await until('each has answered', async () => seen.add((await platform.ask(HOST)).body).size === 3);
    await until('no other copy runs', async () => shimPids(host.data).length + (await containers()).length === 3);
  });

  test('down leaves no container, image, network or mount; without Docker the same apps come back', async () => {
    const { installation } = JSON.parse(readFileSync(join(platform.data, 'config.json'), 'utf8')) as {
      installation: string;
    };
    await platform.down();
    // The engine may still be about the last one, of which it has answered that it goes already.
    await until('no container is left', async () => (await lines('ps', '--all', '--quiet')).length === 0);
    expect(await lines('images', '--quiet')).toEqual([]);
    expect(namespacesOf(installation)).toEqual([]);
    expect(traces(platform.data)).toEqual({ processes: [], mounts: [] });
    await platform.up(['--sandbox', 'auto']);
    await answers();
    // Meanwhile the other machine may have got all of them.
    await platform.cupola(['scale', 'node-hello', '-i', '6']);
    await until('it runs here, without Docker', async () => appPids(platform.data).length > 0);
    expect(await containers()).toEqual([]);
  });
});
