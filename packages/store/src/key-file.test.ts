import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadSealer } from './key-file.ts';

function keyFile(text?: string): Disposable & { path: string } {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-keys-'));
  const path = join(folder, 'keys');
  if (text !== undefined) writeFileSync(path, text);
  return { path, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}
const key = (byte: number): string => Buffer.alloc(32, byte).toString('base64');

test('loadSealer() makes a key that only its owner can read, and uses it again', () => {
  using file = keyFile();
  const sealed = loadSealer(file.path).seal('secret');
  expect(statSync(file.path).mode & 0o777).toBe(0o600);
  expect(sealed).not.toContain('secret');
  expect(loadSealer(file.path).open(sealed)).toBe('secret');
});

test('loadSealer() finishes what a start that was killed began', () => {
  using file = keyFile();
  writeFileSync(`${file.path}.new`, 'half', { mode: 0o644 });
  loadSealer(file.path);
  expect(statSync(file.path).mode & 0o777).toBe(0o600);
});

test('loadSealer() seals with the last key and opens with all', () => {
  using file = keyFile(`old ${key(1)}\n`);
  const before = loadSealer(file.path).seal('secret');
  writeFileSync(file.path, `${readFileSync(file.path, 'utf8')}\nnew ${key(2)}\n`);
  const sealer = loadSealer(file.path);
  expect(sealer.seal('x')).toMatch(/^new\./);
  expect(sealer.open(before)).toBe('secret');
});

test('open() of another installation’s secret says which key is missing', () => {
  using ours = keyFile();
  using theirs = keyFile(`theirs ${key(3)}`);
  const sealed = loadSealer(theirs.path).seal('secret');
  expect(() => loadSealer(ours.path).open(sealed)).toThrow('key "theirs", which is not in the key file');
});

test('open() refuses a text that was changed', () => {
  using file = keyFile();
  const sealer = loadSealer(file.path);
  const sealed = sealer.seal('secret');
  const changed = sealed.slice(0, -2) + (sealed.endsWith('AA') ? 'BB' : 'AA');
  expect(() => sealer.open(changed)).toThrow();
});

test.each([
  ['nothing', '', 'there is no key'],
  ['a short key', 'k1 abcd', 'not 32 bytes'],
  ['a key twice', `k1 ${key(1)}\nk1 ${key(2)}`, 'there twice'],
])('loadSealer() refuses a file with %s, and says to restore it', (_what, text, found) => {
  using file = keyFile(text);
  expect(() => loadSealer(file.path)).toThrow(found);
  expect(() => loadSealer(file.path)).toThrow('Restore this file');
});
