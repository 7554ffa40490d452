import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const CHILD = fileURLToPath(new URL('./upload-child.ts', import.meta.url));
const strace = spawnSync('strace', ['-V']).status === 0;

test.skipIf(!strace)(
  'an upload is answered when pack, its name and its row are on disk: each is synced, in this order (strace)',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'cupola-trace-'));
    const trace = join(folder, 'trace');
    const calls = ['fsync', 'fdatasync', 'write', 'rename'];
    spawnSync('strace', ['-f', '-y', '-e', `trace=${calls.join(',')}`, '-o', trace, process.execPath, CHILD], {
      stdio: 'ignore',
    });
    const lines = readFileSync(trace, 'utf8').split('\n');
    rmSync(folder, { recursive: true });
    const begin = lines.findIndex(line => line.includes('"call\\n"'));
    const end = lines.findIndex(line => line.includes('"answer 200\\n"'));
    expect(begin).toBeGreaterThan(-1);
    expect(end).toBeGreaterThan(begin);
    const between = lines.slice(begin, end);
    const found = [
      /\bf(data)?sync\(\d+<[^>]*\/blobs\/tmp\/[^>]*>/,
      /\brename\("[^"]*\/blobs\/tmp\/[^"]*", "[^"]*\/blobs\/[0-9a-f]{2}\//,
      /\bf(data)?sync\(\d+<[^>]*\/blobs\/[0-9a-f]{2}>/,
      /\bf(data)?sync\(\d+<[^>]*-wal>/,
    ].map(call => between.findIndex(line => call.test(line)));
    expect(found).not.toContain(-1);
    // The row's own sync is the last of the log, after the pack has its name.
    const rowSynced = between.findLastIndex(line => /\bf(data)?sync\(\d+<[^>]*-wal>/.test(line));
    const order = [...found.slice(0, 3), rowSynced];
    expect(order).toEqual(order.toSorted((a, b) => a - b));
  },
);
