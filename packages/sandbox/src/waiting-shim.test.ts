/** What is kept ahead, and that nothing of it stays. */
import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { INSTANCE_LIMITS } from '@cupola/model/limits';
import { expect, test } from 'vitest';
import { CANARY_UID, runToEnd, script, tempFolder, until } from './fixtures.ts';
import { openSandboxes } from './open-sandboxes.ts';
import type { Sandboxes } from './sandbox.ts';

const NEVER_MS = 3_600_000;

interface Opened extends AsyncDisposable {
  sandboxes: Sandboxes;
  spares: string;
}
async function open(): Promise<Opened> {
  const folder = tempFolder();
  const sandboxes = await openSandboxes({
    folder: join(folder.path, 'sandboxes'),
    installation: `test-${randomUUID().slice(0, 8)}`,
    allowUnsandboxed: true,
    canaryUid: CANARY_UID,
    separateNetwork: false,
    spareAfterMs: NEVER_MS,
  });
  const close = async (): Promise<void> => {
    await sandboxes.close();
    folder[Symbol.dispose]();
  };
  return { sandboxes, spares: join(folder.path, 'spares'), [Symbol.asyncDispose]: close };
}
const [spareOf, isUp] = [
  ({ spares }: Opened): string => readdirSync(spares)[0] ?? '',
  (opened: Opened): boolean => existsSync(join(opened.spares, spareOf(opened), 'alive')),
];
const pidsNamed = (text: string): number[] =>
  readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .filter(pid => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(text);
      } catch {
        return false; // It has just ended.
      }
    });

test('start() takes the shim that is kept ahead', async () => {
  await using opened = await open();
  await until('it is up', () => isUp(opened));
  const spare = spareOf(opened);
  const [pid] = pidsNamed(spare);
  const sandbox = await opened.sandboxes.start(script('echo here; sleep 1000'));
  expect(readdirSync(opened.spares)).toEqual([]);
  expect(readFileSync(`/proc/${pid}/cmdline`, 'latin1')).toContain(sandbox.guid);
  await sandbox.kill();
  await sandbox.ended;
  await sandbox.remove();
});

test('start() does without it when it has just been taken, or has ended', async () => {
  await using opened = await open();
  await until('it is up', () => isUp(opened));
  const spare = spareOf(opened);
  for (const pid of pidsNamed(spare)) process.kill(pid, 'SIGKILL');
  await until('it has ended', () => pidsNamed(spare).length === 0);
  const ran = await Promise.all([1, 2].map(number => runToEnd(opened.sandboxes, script(`echo ${number}`))));
  expect(ran.map(({ out }) => out)).toEqual([['1'], ['2']]);
});

test.runIf(process.getuid?.() === 0).each([32, INSTANCE_LIMITS.diskDefaultMb])(
  'start() gives a disk of %i MB, whatever was made ahead',
  async diskMb => {
    await using opened = await open();
    await until('it is up', () => isUp(opened));
    const spec = script('df -m /tmp | tail -1; touch /tmp/mine /home/vcap/mine; ls -n /tmp/mine');
    const { out } = await runToEnd(opened.sandboxes, { ...spec, limits: { ...spec.limits, diskMb } });
    const [size] = /\d+(?= +\d+ +\d+ +\d+%)/.exec(out[0] ?? '') ?? [];
    expect(Number(size) / diskMb).toBeCloseTo(0.95, 1);
    expect(out[1]).toContain(' 2000 2000 ');
  },
);

test('close() leaves no process and no folder of it', async () => {
  const opened = await open();
  await until('it is up', () => isUp(opened));
  const spare = spareOf(opened);
  await opened[Symbol.asyncDispose]();
  expect(pidsNamed(spare)).toEqual([]);
  expect(existsSync(opened.spares)).toBe(false);
});
