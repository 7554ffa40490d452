/**
 * An app as an image, in the hands of a real Docker engine: `cupola image save` and `docker load`, `docker pull` from the platform, `cupola image push` into a
 * real registry. All three ways give the same image.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type DockerEngine, dockerMissing, startDockerEngine } from '@cupola/sandbox/docker/engine-server';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Platform, ROOT, startPlatform, until } from './platform.ts';
import { READER, startRegistry } from './registry.ts';

describe.skipIf(dockerMissing() !== null)('an image of an app', () => {
  let platform: Platform;
  let engine: DockerEngine;
  let file: string;

  beforeAll(async () => {
    platform = await startPlatform();
    engine = await startDockerEngine();
    await platform.login();
    await platform.cupola(['push', '--no-route'], { cwd: join(ROOT, 'examples/node-hello') });
    file = join(platform.data, 'hello.tar');
    await platform.cupola(['image', 'save', 'node-hello', file, '--name', 'hello:1']);
  });
  afterAll(async () => {
    await engine[Symbol.asyncDispose]();
    rmSync(file, { force: true });
    await platform[Symbol.asyncDispose]();
  });

  test('is loaded, serves, and ends when it is asked to', async () => {
    expect(await engine.docker('load', '--input', file)).toContain('Loaded image: hello:1');
    await engine.docker('run', '--detach', '--name', 'web', '--network', 'none', '--env', 'PORT=9000', 'hello:1');
    const ask =
      'for script in ~/../profile.d/*.sh; do . $script; done; node -e \'fetch("http://127.0.0.1:9000/").then(r => r.text()).then(console.log)\'';
    const answer = await until('the app answers in its container', () =>
      engine.docker('exec', 'web', 'bash', '-c', ask),
    );
    expect(answer).toContain('Hello from instance 0, version 1');
    await engine.docker('stop', '--time', '30', 'web');
    // 137 would be the engine's SIGKILL after those 30 s.
    expect((await engine.docker('inspect', '--format', '{{.State.ExitCode}}', 'web')).trim()).not.toBe('137');
  });

  const idOf = async (image: string): Promise<string> =>
    (await engine.docker('inspect', '--format', '{{.Id}}', image)).trim();
  const login = (host: string, username: string, password: string): Promise<string> =>
    engine.docker('--config', settings(), 'login', host, '--username', username, '--password', password);
  const settings = (): string => join(platform.data, 'docker');

  test("is pulled from the platform's own registry by who may download it, and is the same", async () => {
    await engine.docker('load', '--input', file);
    const host = `127.0.0.1:${platform.facts.apiPort}`;
    const image = `${host}/cupola/dev/node-hello`;
    await expect(engine.docker('pull', image)).rejects.toThrow(/unauthorized/);
    await expect(login(host, 'admin', 'wrong')).rejects.toThrow(/unauthorized/);
    await login(host, 'admin', platform.password());
    await engine.docker('--config', settings(), 'pull', image);
    expect(await idOf(image)).toBe(await idOf('hello:1'));
    await login(host, 'bearer', await platform.token());
    const { body } = await platform.api('GET', '/v3/droplets');
    const [droplet] = (body as { resources: Array<{ guid: string }> }).resources;
    await engine.docker('--config', settings(), 'pull', `${image}:${droplet?.guid}`);
    expect(await idOf(`${image}:${droplet?.guid}`)).toBe(await idOf('hello:1'));
  });

  test('is pushed into a registry with a login, what is there is not sent again, and it is the same', async () => {
    await engine.docker('load', '--input', file);
    await using registry = await startRegistry({ login: true });
    const image = `${registry.host}/team/hello:2`;
    const push = (...args: string[]) =>
      platform.cupola(['image', 'push', 'node-hello', image, '--json', ...args], {
        env: { CF_DOCKER_PASSWORD: READER.password },
      });
    await expect(push()).rejects.toMatchObject({ stdout: expect.stringContaining('docker login') });
    const sent = async (): Promise<number> =>
      (JSON.parse((await push('--docker-username', READER.username)).stdout) as { sentBytes: number }).sentBytes;
    expect(await sent()).toBeGreaterThan(1_000_000);
    expect(await sent()).toBe(0);
    await login(registry.host, READER.username, READER.password);
    await engine.docker('--config', settings(), 'pull', image);
    expect(await idOf(image)).toBe(await idOf('hello:1'));
  });

  test("runs another command with its own arguments, as the app's user, and tells its code", async () => {
    await engine.docker('load', '--input', file);
    const printed = await engine.docker(
      ...['run', '--rm', '--network', 'none', 'hello:1', 'node', '-p', 'process.getuid() + " " + process.cwd()'],
    );
    expect(printed.trim()).toBe('2000 /home/vcap/app');
    const failed = engine.docker('run', '--rm', '--network', 'none', 'hello:1', 'exit 7');
    await expect(failed).rejects.toMatchObject({ code: 7 });
  });
});
