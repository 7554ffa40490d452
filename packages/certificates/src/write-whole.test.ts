import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writeWhole } from './write-whole.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cupola-whole-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('writeWhole() leaves nothing beside the file, which only its owner reads', () => {
  const file = join(folder, 'member.pem');
  writeWhole(file, 'first', 0o600);
  writeWhole(file, 'second', 0o600);
  expect(readFileSync(file, 'utf8')).toBe('second');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).toEqual(['member.pem']);
});

test('writeWhole() that fails leaves no half file behind', () => {
  const file = join(folder, 'member.pem');
  mkdirSync(join(file, 'in the way'), { recursive: true });
  expect(() => writeWhole(file, 'text', 0o600)).toThrow();
  expect(readdirSync(folder)).toEqual(['member.pem']);
});

test('writeWhole() is not disturbed by another process that writes the same file', () => {
  const file = join(folder, 'member.pem');
  // What the other one is just writing, under the name that both would take if it were the same.
  mkdirSync(`${file}.new`);
  writeWhole(file, 'text', 0o600);
  expect(readFileSync(file, 'utf8')).toBe('text');
});
