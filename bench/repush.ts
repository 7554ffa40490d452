/** Rows 11 and 13: pushing again when one file of 20,000 has changed, beside walk and hash of the same tree; and an upload beside a plain write. */
import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Platform } from '../test/platform.ts';
import { median, type Row, seconds, timed } from './table.ts';

const FOLDERS = 200;
const FILES_EACH = 100;
const BIG_BYTES = 150 * 1024 * 1024;

function makeTree(): string {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-bench-tree-'));
  for (let outer = 0; outer < FOLDERS; outer++) {
    mkdirSync(join(folder, `d${outer}`));
    for (let inner = 0; inner < FILES_EACH; inner++)
      writeFileSync(
        join(folder, `d${outer}`, `f${inner}.js`),
        `module.exports = ${outer * FILES_EACH + inner};\n`.repeat(20),
      );
  }
  writeFileSync(join(folder, 'Procfile'), 'web: sleep 1000000\n');
  return folder;
}

/** What no client can do without: read each file once, and know its sha1. */
function walkAndHash(folder: string): number {
  const start = performance.now();
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile())
      createHash('sha1')
        .update(readFileSync(join(entry.parentPath, entry.name)))
        .digest('hex');
  return performance.now() - start;
}

const UPLOAD_ONLY = ['--no-start', '--no-route'];

export async function benchRepush(platform: Platform, rounds: number): Promise<Row[]> {
  const folder = makeTree();
  const push = () => platform.cupola(['push', 'bench-tree', '-b', 'binary_buildpack', ...UPLOAD_ONLY], { cwd: folder });
  const first = await timed(push);
  const again: number[] = [];
  const hashes: number[] = [];
  for (let round = 0; round < Math.min(rounds, 3); round++) {
    writeFileSync(join(folder, 'd7', 'f7.js'), `module.exports = 'changed ${round}';\n`);
    hashes.push(walkAndHash(folder));
    again.push((await timed(push)).tookMs);
  }
  rmSync(folder, { recursive: true, force: true });
  const [ours, floor] = [median(again), median(hashes)];
  return [
    {
      row: '11',
      what: 'push again, 1 of 20,000 files changed (--no-start; with our CLI)',
      ours: `${seconds(ours)} (first push ${seconds(first.tookMs)})`,
      beside: `${seconds(floor)} walk and hash`,
      ratio: ours / floor,
      aim: '<= 3x walk and hash',
      met: ours <= 3 * floor,
    },
    await uploadRow(platform, rounds),
  ];
}

/** One large file that does not compress. */
async function uploadRow(platform: Platform, rounds: number): Promise<Row> {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-bench-big-'));
  const ours: number[] = [];
  const plain: number[] = [];
  const control = await platform.pidOf('control');
  const before = residentKib(control);
  for (let round = 0; round < Math.min(rounds, 3); round++) {
    const bytes = randomBytes(BIG_BYTES);
    const start = performance.now();
    const fd = openSync(join(folder, 'big.bin'), 'w');
    writeSync(fd, bytes);
    fsyncSync(fd);
    closeSync(fd);
    plain.push(performance.now() - start);
    const pushed = await timed(() =>
      platform.cupola(['push', 'bench-big', '-b', 'binary_buildpack', '-c', 'true', ...UPLOAD_ONLY], { cwd: folder }),
    );
    ours.push(pushed.tookMs);
  }
  rmSync(folder, { recursive: true, force: true });
  const [our, floor] = [median(ours), median(plain)];
  const grownMb = (residentKib(control) - before) / 1_024;
  return {
    row: '13',
    what: 'push of one file of 150 MB (deflated, sent, checked, stored)',
    ours: `${seconds(our)}, control grew ${grownMb.toFixed(0)} MB`,
    beside: `${seconds(floor)} write and fsync`,
    ratio: our / floor,
    aim: 'memory flat: < 100 MB',
    met: grownMb < 100,
  };
}

function residentKib(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
}
