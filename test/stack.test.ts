/** A root filesystem that is not this machine's: added, pushed onto, updated, removed. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Platform, ROOT, startPlatform } from './platform.ts';

describe.runIf(process.getuid?.() === 0)('a stack that is added', () => {
  let platform: Platform;
  const example = join(ROOT, 'examples/node-hello');
  beforeAll(async () => {
    platform = await startPlatform();
    await platform.login();
  });
  afterAll(() => platform[Symbol.asyncDispose]());

  test('out of an image takes an app that names it, whose own image stands on it', async () => {
    await platform.cupola(['push'], { cwd: example });
    const image = join(platform.data, 'hello.tar');
    await platform.cupola(['image', 'save', 'node-hello', image]);
    const added = await platform.cupola(['stack', 'add', image, '--name', 'saved', '--data', platform.data]);
    expect(added.stdout).toContain('cupola push -s saved');

    await platform.cupola(['push', 'on-it', '-s', 'saved'], { cwd: example });
    expect((await platform.ask('on-it.localhost')).body).toBe('Hello from instance 0, version 1\n');
    const { body } = await platform.api('GET', '/v3/droplets?order_by=-created_at&per_page=1');
    expect((body as { resources: Array<{ stack: string }> }).resources[0]?.stack).toBe('saved');
    await platform.cupola(['image', 'save', 'on-it', join(platform.data, 'again.tar')]);
    expect(readFileSync(join(platform.data, 'again.tar')).includes('home/vcap/app/server.js')).toBe(true);

    // While an app uses it, it is not taken from under it.
    await platform.cupola(['stack', 'remove', 'saved', '--data', platform.data]);
    expect((await platform.ask('on-it.localhost')).status).toBe(200);
    const left = await platform.cupola(['stack', 'list', '--json', '--data', platform.data]);
    expect(JSON.parse(left.stdout)).toEqual([]);
  });
});
