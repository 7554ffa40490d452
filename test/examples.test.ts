/**
 * Each example, as its user pushes it: by our CLI, from its folder. It answers over the router, and staged once more it gives the same droplet
 * (foundations.md 13).
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Platform, ROOT, startPlatform, until } from './platform.ts';

let platform: Platform;

beforeAll(async () => {
  platform = await startPlatform();
  await platform.login();
});
afterAll(async () => {
  await platform[Symbol.asyncDispose]();
});

type Resource = { guid: string; state: string; error: string | null; checksum: { value: string } };

async function first(path: string): Promise<Resource> {
  const { body } = await platform.api('GET', path);
  const [found] = (body as { resources: Resource[] }).resources;
  if (found === undefined) throw new Error(`nothing at ${path}`);
  return found;
}

/** Digest of the app's own layer, of its current droplet. */
async function digestOf(app: Resource): Promise<string> {
  const { body } = await platform.api('GET', `/v3/apps/${app.guid}/droplets/current`);
  return (body as Resource).checksum.value;
}

/** Stages the app's package once more. */
async function restage(app: Resource): Promise<string> {
  const { guid } = await first(`/v3/packages?app_guids=${app.guid}&order_by=-created_at`);
  const begun = await platform.api('POST', '/v3/builds', { package: { guid } });
  const build = (begun.body as Resource).guid;
  const droplet = await until(
    'the second build has ended',
    async () => {
      const { body } = await platform.api('GET', `/v3/builds/${build}`);
      const { state, error, droplet } = body as Resource & { droplet: Resource | null };
      if (state === 'FAILED') throw new Error(String(error));
      return droplet;
    },
    EXAMPLE_MS,
  );
  const { body } = await platform.api('GET', `/v3/droplets/${droplet.guid}`);
  return (body as Resource).checksum.value;
}

/** Folder of examples/, which is the app's name too -> what it answers at a path. */
const EXAMPLES: ReadonlyArray<readonly [name: string, path: string, answer: string]> = [
  ['node-hello', '/', 'Hello from instance 0'],
  ['python-flask', '/notes.json', 'Push me with'],
  ['go-hello', '/', 'Hello from Go, instance 0'],
  ['java-maven', '/', 'Hello from Java, heap'],
  ['php-hello', '/any/page', 'Hello from PHP at /any/page'],
  ['ruby-hello', '/World', 'Hello from Ruby to World'],
  ['multi-buildpack', '/', 'Made by Node.js, served by Python'],
  ['worker', '/', 'The worker works beside me'],
];

/** The first Go program of an app compiles the standard library, the first Java app fetches Maven's plugins: on a busy machine that is minutes. */
const EXAMPLE_MS = 480_000;

/** What goes on with an app that takes far too long, for whoever reads why the test failed. */
const SLOW_MS = 240_000;

function tellWhenSlow(name: string): Disposable {
  const timer = setTimeout(async () => {
    const { body } = await platform.api('GET', '/v3/builds?states=STAGING');
    const { stdout } = await platform
      .cupola(['logs', name, '--recent'])
      .catch((error: unknown) => ({ stdout: String(error) }));
    const { instances, parts } = await platform.status();
    const logs = await Promise.all(platform.machines.map(folder => readFile(join(folder, 'log/cell.log'), 'utf8')));
    const last = logs.flatMap(log => log.split('\n').slice(-30)).join('\n');
    console.log(name, JSON.stringify({ body, instances, parts }), stdout, last);
  }, SLOW_MS);
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

describe.concurrent('examples', { timeout: EXAMPLE_MS }, () => {
  test.each(EXAMPLES)('%s is pushed, answers, and staged twice is one droplet', async (name, path, answer) => {
    using _slow = tellWhenSlow(name);
    await platform.cupola(['push'], { cwd: join(ROOT, 'examples', name) });
    const { status, body } = await platform.ask(`${name}.localhost`, path);
    expect({ status, body }).toEqual({ status: 200, body: expect.stringContaining(answer) });
    const app = await first(`/v3/apps?names=${name}`);
    expect(await restage(app)).toBe(await digestOf(app));
  });

  test('the worker of a Procfile runs beside the web process, without a port', async () => {
    // It is pushed beside all others meanwhile.
    const line = await until(
      'the worker has done something',
      async () => {
        const { stdout } = await platform.cupola(['logs', 'worker', '--recent']).catch(() => ({ stdout: '' }));
        return stdout.split('\n').find(text => text.includes('piece of work'));
      },
      EXAMPLE_MS,
    );
    expect(line).toContain('APP/PROC/WORKER/0');
  });
});
