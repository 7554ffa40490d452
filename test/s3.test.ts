/** A platform whose packages and droplets move to a real S3 server while it serves, live through that server's death, and move back. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type S3Server, startS3 } from '@cupola/blobs/s3-server';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { appFolder, type Platform, startPlatform, until } from './platform.ts';

describe('packages and droplets on S3', () => {
  let work: string;
  let server: S3Server;
  let place: string;
  let platform: Platform;

  beforeAll(async () => {
    work = mkdtempSync(join(tmpdir(), 'cupola-on-s3-'));
    server = await startS3();
    place = server.bucket('cupola');
    platform = await startPlatform();
    await platform.login();
    await push('hello');
  });
  afterAll(async () => {
    await platform?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
    rmSync(work, { recursive: true, force: true });
  });

  const push = (name: string) => platform.cupola(['push', name], { cwd: appFolder(work, name) });
  const migrate = (to: string) => platform.cupola(['migrate', '--blobs', to, '--data', platform.data]);
  const served = async (name: string): Promise<number> => (await platform.ask(`${name}.localhost`)).status;
  const shown = async (): Promise<string> => (await platform.cupola(['status', '--data', platform.data])).stdout;

  /** Asks the app some 30 times a second while `work` goes on (without pause it takes a processor of its own); the answers that were no 200. */
  async function failedMeanwhile(work: () => Promise<unknown>): Promise<number[]> {
    const statuses: number[] = [];
    let isOver = false;
    const asking = (async () => {
      while (!isOver) {
        statuses.push(await served('hello'));
        await new Promise(resolve => setTimeout(resolve, 25));
      }
    })();
    await work().finally(() => {
      isOver = true;
    });
    await asking;
    expect(statuses.length).toBeGreaterThan(0);
    return statuses.filter(status => status !== 200);
  }

  /** Every layer of the app's droplet, through the API. */
  async function dropletStatus(name: string): Promise<number> {
    const { body } = await platform.api('GET', `/v3/apps?names=${name}`);
    const { guid } = (body as { resources: { guid: string }[] }).resources[0] ?? { guid: '' };
    const { body: droplet } = await platform.api('GET', `/v3/apps/${guid}/droplets/current`);
    const url = `${platform.facts.api}/v3/droplets/${(droplet as { guid: string }).guid}/download`;
    const answer = await fetch(url, { headers: { authorization: `bearer ${await platform.token()}` } });
    await answer.arrayBuffer();
    return answer.status;
  }

  test('what cannot be used, or is no address, leaves them where they are, and says why', async () => {
    await expect(migrate('ftp://here')).rejects.toThrow('s3://[KEY:SECRET@]BUCKET');
    await expect(migrate(place.replace('@cupola', '@missing'))).rejects.toThrow(
      /stay where they are: .*bucket does not exist/,
    );
    expect(await shown()).not.toContain('blobs  ');
    expect(await dropletStatus('hello')).toBe(200);
  });

  test('move while it serves; then their folder is not needed any more', async () => {
    expect(await failedMeanwhile(() => migrate(place))).toEqual([]);
    expect(await shown()).toMatch(/blobs {2}s3:\/\/test-access:\*\*\*@cupola\?/);
    rmSync(join(platform.data, 'state', 'blobs'), { recursive: true });
    expect(await dropletStatus('hello')).toBe(200);
    expect(existsSync(join(platform.data, 'state', 'blobs'))).toBe(false);
  });

  test('a backup has them, and what is restored needs no server', async () => {
    const [file, restored] = [join(work, 'platform.backup'), join(work, 'restored')];
    await platform.cupola(['backup', file, '--data', platform.data]);
    await platform.cupola(['restore', file, '--data', restored]);
    const names = readdirSync(join(restored, 'state', 'blobs'), { recursive: true }).map(String);
    expect(names.filter(name => /^[0-9a-f]{2}\/[0-9a-f]{62}$/.test(name)).length).toBeGreaterThan(1);
    expect(existsSync(join(restored, 'state', 'blobs-place'))).toBe(false);
  });

  test('while the server is away apps answer and a push says what is the matter; then it succeeds', async () => {
    await server.kill();
    const failed = await failedMeanwhile(async () => {
      await expect(push('later')).rejects.toThrow(/cannot be used at the moment .*Try again/);
    });
    expect(failed).toEqual([]);
    await server.start();
    await push('later');
    expect(await served('later')).toBe(200);
  });

  test('move back, though the server is away at first and the API is killed in the midst', async () => {
    await server.kill();
    const moving = migrate('embedded');
    moving.catch(() => undefined);
    await until('it says why it waits', async () => (await shown()).includes('on their way to embedded (not now: '));
    process.kill(await platform.pidOf('control'), 'SIGKILL');
    await server.start();
    await moving;
    await server.kill();
    expect(await dropletStatus('later')).toBe(200);
    await push('last');
    expect(await served('last')).toBe(200);
  });
});
