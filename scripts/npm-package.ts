/** What npm's packages of ours share: for which Node.js they are, and how they are packed. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '..');
/** undici 8 and listr2 11 want no older ones; 22 is the oldest line that Node.js itself looks after (November 2026). */
export const OLDEST_NODE = '22.19.0';

/** What both say of themselves. `folder`: of the workspace whose version and licence they have. */
export function commonFacts(folder: string): Record<string, unknown> {
  const { name, version, license } = JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8'));
  return { name, version, license, engines: { node: `>=${OLDEST_NODE}` } };
}

/** Fills a folder by `make`, which returns its package.json, and packs it. Returns the tarball's path. */
export async function packInto(
  into: string,
  make: (work: string) => Promise<Record<string, unknown>>,
): Promise<string> {
  const work = mkdtempSync(join(tmpdir(), 'cupola-pack-'));
  try {
    writeFileSync(join(work, 'package.json'), `${JSON.stringify(await make(work), null, 2)}\n`);
    mkdirSync(into, { recursive: true });
    const { status, stdout, stderr } = spawnSync('npm', ['pack', '--silent', '--pack-destination', into], {
      cwd: work,
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`npm pack failed: ${stderr}`);
    return join(into, stdout.trim().split('\n').at(-1) ?? '');
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
