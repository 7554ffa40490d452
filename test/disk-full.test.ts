/** A platform on a small disk that fills up: pushes are refused with a sentence, and what runs goes on. As root: the disk is a file system in a file. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Platform, ROOT, startPlatform, until } from './platform.ts';

const run = promisify(execFile);
const DISK_BYTES = 2 * 1024 ** 3;
const BLOCK = 1024 ** 2;

describe.skipIf(process.getuid?.() !== 0)('a disk that is nearly full', () => {
  let work: string;
  let disk: string;
  let platform: Platform;

  beforeAll(async () => {
    work = mkdtempSync(join(tmpdir(), 'cupola-full-'));
    disk = join(work, 'disk');
    mkdirSync(disk);
    const image = join(work, 'disk.img');
    writeFileSync(image, '');
    truncateSync(image, DISK_BYTES);
    await run('mkfs.ext4', ['-q', '-F', '-m', '0', image]);
    await run('mount', ['-o', 'loop', image, disk]);
    platform = await startPlatform([], { within: disk });
    await platform.login();
    await platform.cupola(['push', 'there', '-m', '64M'], { cwd: folder('there') });
    await fill();
  });
  afterAll(async () => {
    await platform?.[Symbol.asyncDispose]();
    // What has just ended may still be letting go of it.
    await until('nothing holds the disk', async () => (await run('umount', [disk])) !== null);
    rmSync(work, { recursive: true, force: true });
  });

  /** Once more before each look: what was written on the way may be cleared away late. */
  async function fill(): Promise<void> {
    const { bavail, bsize } = statfsSync(disk);
    // 5 % of a small disk are kept free: half of that is left.
    const left = Math.floor((DISK_BYTES * 0.025) / BLOCK);
    const blocks = Math.floor((bavail * bsize) / BLOCK) - left;
    if (blocks > 0) await run('fallocate', ['-l', `${blocks}M`, join(disk, `filler-${randomUUID()}`)]);
  }

  function folder(name: string): string {
    const made = join(work, name);
    mkdirSync(made, { recursive: true });
    cpSync(join(ROOT, 'examples/node-hello/server.js'), join(made, 'server.js'));
    writeFileSync(join(made, 'package.json'), JSON.stringify({ name, scripts: { start: 'node server.js' } }));
    writeFileSync(join(made, 'own.txt'), name.repeat(100));
    return made;
  }

  test('a push is refused with a sentence and the cause', async () => {
    await fill();
    const push = ['push', 'another', '-m', '64M', '--json'];
    const refused = await platform.cupola(push, { cwd: folder('another') }).then(
      ({ stdout }) => stdout,
      (error: { stdout: string }) => error.stdout,
    );
    expect(JSON.parse(refused)).toMatchObject({
      error: {
        message: expect.stringMatching(/disk is nearly full \(\d+ MB free\)\. Delete apps or free some space/),
        cause: { code: 'platform-disk-full', next: 'cupola doctor' },
      },
    });
  });

  test('apps go on: requests are answered, a restart restarts', async () => {
    expect((await platform.ask('there.localhost')).status).toBe(200);
    await platform.cupola(['restart', 'there']);
    expect((await platform.ask('there.localhost')).status).toBe(200);
  });

  test('doctor says so, and what lies there', async () => {
    await fill();
    const { stdout } = await platform.cupola(['doctor', '--data', platform.data]);
    expect(stdout).toMatch(
      /disk: \d+ MB of 1\.9 GB free; less than \d+ MB is free: pushes are refused, what runs goes on/,
    );
    expect(stdout).toMatch(/packages and droplets +\d+ MB +kept: of each app the newest 5/);
  });
});
