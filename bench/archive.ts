/** Row 10: the archive of 20,000 files beside zip(1), of the same tree, by turns. Skipped where there is no zip. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createZip, type NewEntry } from '../packages/archive/src/zip-create.ts';
import { median, type Row, seconds, timed } from './table.ts';

const run = promisify(execFile);
const FOLDERS = 200;
const FILES_EACH = 100;
/** Of one file: with 20,000 of them 100 MB. */
const FILE_BYTES = 5_000;

/** Text that compresses about as well as source code does. */
function makeSources(): string {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-bench-sources-'));
  const words = readdirSync('/usr/bin').concat('const', 'return', 'function', 'import', '=>', '{', '}', ';\n', '  ');
  let state = 1;
  const next = (): string => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return words[state % words.length] ?? '';
  };
  for (let outer = 0; outer < FOLDERS; outer++) {
    mkdirSync(join(folder, `d${outer}`));
    for (let inner = 0; inner < FILES_EACH; inner++) {
      let text = '';
      while (text.length < FILE_BYTES) text += `${next()} `;
      writeFileSync(join(folder, `d${outer}`, `f${inner}.js`), text);
    }
  }
  return folder;
}

export async function benchArchive(rounds: number): Promise<Row[]> {
  const isThere = await run('zip', ['-v']).then(
    () => true,
    () => false,
  );
  if (!isThere) return [];
  const folder = makeSources();
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map((entry): NewEntry => {
      const file = join(entry.parentPath, entry.name);
      return { kind: 'file', path: file.slice(folder.length + 1), mode: 0o644, file };
    });
  const ours: number[] = [];
  const zips: number[] = [];
  const [target, peer] = [`${folder}.ours.zip`, `${folder}.zip`];
  for (let round = 0; round < Math.max(rounds, 3); round++) {
    for (const file of [target, peer]) rmSync(file, { force: true });
    ours.push((await timed(() => createZip(target, entries))).tookMs);
    zips.push((await timed(() => run('zip', ['-qr', peer, '.'], { cwd: folder }))).tookMs);
  }
  for (const file of [target, peer, folder]) rmSync(file, { recursive: true, force: true });
  const [our, zip] = [median(ours), median(zips)];
  return [
    {
      row: '10',
      what: `archive of ${entries.length} files, 100 MB`,
      ours: seconds(our),
      beside: `${seconds(zip)} zip(1)`,
      ratio: our / zip,
      aim: '<= 1.0x zip(1)',
      met: our <= zip,
    },
  ];
}
