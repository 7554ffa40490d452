/**
 * `push --docker-image` against a real registry, whole: a tag becomes a digest, layers of all packings are laid over each other, the image's own words, user and
 * variables count, and what runs does not need the registry any more. The flows are those of Cloud Foundry's acceptance tests (docker group), with an image made
 * here of this machine's perl.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CONFIG, imageLayers } from './image-layers.ts';
import { type Platform, startPlatform, until } from './platform.ts';
import { READER, type Registry, startRegistry } from './registry.ts';

interface Failed {
  stderr: string;
  stdout: string;
}

describe('an app that is an image', () => {
  let platform: Platform;
  let open: Registry;
  let closed: Registry;
  let digest: string;
  beforeAll(async () => {
    [open, closed] = await Promise.all([startRegistry(), startRegistry({ login: true })]);
    const layers = imageLayers();
    digest = await open.push('team/many', 'ours', { layers, config: CONFIG });
    const other = await open.push('team/many', 'other', { layers: [], config: {}, architecture: 's390x' });
    const ours = process.arch === 'arm64' ? 'arm64' : 'amd64';
    await open.pushIndex('team/many', '1', [
      { digest: other, architecture: 's390x' },
      { digest, architecture: ours },
    ]);
    await open.push('team/shell', '1', {
      layers: imageLayers({ shell: true }),
      config: { ...CONFIG, User: '', ExposedPorts: { '81/tcp': {}, '53/udp': {}, '9000/tcp': {} } },
    });
    await closed.push('team/secret', '1', { layers, config: CONFIG });
    platform = await startPlatform([], { env: { CUPOLA_REGISTRIES: `${open.host},${closed.host}` } });
    await platform.login();
  });
  afterAll(async () => {
    await platform?.[Symbol.asyncDispose]();
    await Promise.all([open, closed].map(registry => registry?.[Symbol.asyncDispose]()));
  });
  const body = async (name: string, path: string): Promise<string> =>
    (await platform.ask(`${name}.localhost`, path)).body;
  const push = (...args: string[]) => platform.cupola(['push', ...args]);
  const refused = async (...args: string[]): Promise<string> =>
    push(...args).then(
      () => 'it was pushed',
      ({ stdout, stderr }: Failed) => `${stdout}\n${stderr}`,
    );
  const find = async (path: string) => {
    const { resources } = (await platform.api('GET', path)).body as { resources: Array<Record<string, unknown>> };
    return resources;
  };

  test('runs as the image says: its words, user, folder and variables, over which go those of the platform and of set-env', async () => {
    const image = `${open.host}/team/many:1`;
    await push('plain', '--docker-image', image, '-m', '64M');
    expect(await body('plain', '/name')).toBe('one two words');
    const hasIds = process.getuid?.() === 0;
    if (hasIds) expect(await body('plain', '/id')).toBe('1234 1235 some_user /srv');
    for (const [name, value] of [
      ['HOME', '/home/some_user'],
      ['SOME_VAR', 'some_value'],
      ['BAD_QUOTE', "'"],
      ['BAD_SHELL', '$1'],
      ['TMPDIR', '(none)'],
      ['INSTANCE_INDEX', '0'],
      ['CF_INSTANCE_INDEX', '0'],
    ] as const)
      expect(await body('plain', `/env/${name}`)).toBe(value);
    expect(JSON.parse(await body('plain', '/env/VCAP_APPLICATION'))).toMatchObject({ application_name: 'plain' });
    expect([await body('plain', '/file/gone'), await body('plain', '/file/opt/added')]).toEqual(['absent', 'there']);
    expect(await body('plain', '/write/written')).toBe('written');
    expect((await platform.cupola(['app', 'plain'])).stdout).toContain(`${image}@${digest}`);
    const [droplet] = await find('/v3/droplets');
    expect(droplet).toMatchObject({
      lifecycle: { type: 'docker', data: {} },
      image: `${image}@${digest}`,
      stack: null,
      buildpacks: null,
      checksum: null,
      process_types: { web: 'perl /srv/server.pl one two words' },
    });

    await platform.cupola(['set-env', 'plain', 'HOME', '/tmp/fakehome']);
    await platform.cupola(['set-env', 'plain', 'TMPDIR', '/tmp/dir']);
    await platform.cupola(['restart', 'plain']);
    expect([await body('plain', '/env/HOME'), await body('plain', '/env/TMPDIR')]).toEqual([
      '/tmp/fakehome',
      '/tmp/dir',
    ]);
    expect(await body('plain', '/file/written')).toBe('absent');
  });

  test('with a command runs that by its own shell, on the first port that it exposes, as root who may nothing more', async () => {
    await push(
      'shell',
      '-o',
      `${open.host}/team/shell:1`,
      '-m',
      '64M',
      '-c',
      'exec perl /srv/server.pl -name=$SOME_VAR',
    );
    expect(await body('shell', '/name')).toBe('-name=some_value');
    if (process.getuid?.() === 0) {
      expect(await body('shell', '/env/PORT')).toBe('81');
      expect(await body('shell', '/id')).toMatch(/^0 0 root /);
    }
    await platform.cupola(['stop', 'shell']);
    await until('its route leads nowhere', async () => (await platform.ask('shell.localhost', '/name')).status === 404);
    await platform.cupola(['start', 'shell']);
    expect(await body('shell', '/name')).toBe('-name=some_value');
    const task = await platform.cupola(['run-task', 'shell', 'echo told by $SOME_VAR', '--wait']);
    expect(task.stdout).toContain('told by some_value');
  });

  test('of a private registry is fetched with the login that was pushed, which is told nowhere', async () => {
    const image = `${closed.host}/team/secret:1`;
    const wrong = { CF_DOCKER_PASSWORD: 'wrong' };
    const failed = await platform
      .cupola(['push', 'secret', '-o', image, '--docker-username', READER.username], { env: wrong })
      .catch(({ stderr }: Failed) => stderr);
    expect(failed).toContain('(image-login:');
    await platform.cupola(['push', 'secret', '-o', image, '--docker-username', READER.username, '-m', '64M'], {
      env: { CF_DOCKER_PASSWORD: READER.password },
    });
    expect(await body('secret', '/name')).toBe('one two words');
    const [app] = await find('/v3/apps?names=secret');
    const packages = await find(`/v3/apps/${app?.guid}/packages?order_by=-created_at`);
    expect(packages[0]).toMatchObject({
      type: 'docker',
      state: 'READY',
      data: { image, username: READER.username, password: '***' },
    });
    expect(found(platform.data, READER.password)).toEqual([]);
  });

  test('heals and scales while its registry is away; a restage, which asks it again, says that it is', async () => {
    await open.stop();
    await platform.cupola(['scale', 'plain', '-i', '2']);
    await until('two instances run', async () => {
      const { instances } = await platform.status();
      return instances.filter(({ app, state }) => app === 'plain' && state === 'RUNNING').length === 2;
    });
    const failed = await platform.cupola(['restage', 'plain']).catch(({ stderr }: Failed) => stderr);
    expect(failed).toContain('(image-registry-unreachable:');
    expect(await body('plain', '/name')).toBe('one two words');
  });

  test.each([
    ['no-such-tag', () => `${closed.host}/team/secret:2`, 'image-login'],
    ['link-local', () => '169.254.169.254/team/x:1', 'image-registry-refused'],
    ['loopback', () => '127.0.0.1:1/team/x:1', 'image-registry-refused'],
    ['decimal', () => '2130706433:80/team/x:1', 'image-registry-refused'],
    ['named-loopback', () => 'localhost:1/team/x:1', 'image-registry-refused'],
  ])('that cannot be had is refused with what to do (%s)', async (name, image, code) => {
    expect(await refused(name, '-o', image())).toContain(`[${code}]`);
  });

  test('stays what it was made as, in the words of Cloud Foundry', async () => {
    const example = { cwd: join(import.meta.dirname, '../examples/node-hello') };
    const failed = await platform
      .cupola(['push', 'plain', '-b', 'nodejs_buildpack'], example)
      .catch(({ stderr }: Failed) => stderr);
    expect(failed).toContain('Buildpacks cannot be configured for a docker lifecycle app.');
    expect(await refused('plain', '-o', 'A')).toMatch(/is no name of an image/);
  });
});

/** Files below a platform's folder that have this text in them, and processes of that platform with it in their command lines. */
function found(folder: string, text: string): string[] {
  const inFiles = execFileSync('sh', ['-c', 'grep -rlF -- "$1" "$2" || true', 'find', text, folder], {
    encoding: 'utf8',
  });
  const inProcesses = readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && existsSync(`/proc/${name}/cmdline`))
    .filter(name => {
      try {
        const [line, variables] = ['cmdline', 'environ'].map(file => readFileSync(`/proc/${name}/${file}`, 'utf8'));
        return line?.includes(text) && `${line} ${variables}`.includes(folder);
      } catch {
        return false; // It has ended.
      }
    });
  return [...inFiles.split('\n').filter(Boolean), ...inProcesses];
}
