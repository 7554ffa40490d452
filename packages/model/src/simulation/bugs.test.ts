import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { SEEDED_BUGS, type SeededBug } from './bugs.ts';

const PACKAGE = fileURLToPath(new URL('../../', import.meta.url));

/** Found ones take a second; one that is not found takes all 10,000 schedules. */
const TIMEOUT_MS = 300_000;

/** Runs schedules on a copy of the package with that bug in it, until the first that breaks an invariant. */
async function hunt({ file, was, is }: SeededBug): Promise<{ places: number; found: unknown }> {
  const folder = await mkdtemp(join(tmpdir(), 'cupola-bug-'));
  try {
    await cp(PACKAGE, folder, { recursive: true });
    const path = join(folder, 'src', file);
    const text = await readFile(path, 'utf8');
    await writeFile(
      path,
      text.replace(was, () => is),
    );
    const argv = [join(folder, 'src/simulation/replay.ts'), '--from', '1', '--count', '10000', '--json'];
    // It ends with 1 when it has found something.
    const { stdout } = await promisify(execFile)(process.execPath, argv).catch((error: { stdout: string }) => error);
    return { places: text.split(was).length - 1, found: JSON.parse(stdout) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test('each seeded bug is another one', () => {
  expect(new Set(SEEDED_BUGS.map(bug => bug.is)).size).toBe(14);
});

test.each(SEEDED_BUGS)(
  'the simulated cluster finds that $name',
  async bug => {
    expect(await hunt(bug)).toEqual({ places: 1, found: expect.objectContaining({ what: expect.any(String) }) });
  },
  TIMEOUT_MS,
);
