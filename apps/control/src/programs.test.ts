import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { ownPrograms, programFile } from './programs.ts';

test('ownPrograms() is the bundle that the entry lies in, also through a link', () => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'cupola-programs-')));
  mkdirSync(join(root, '.programs/one'), { recursive: true });
  writeFileSync(join(root, '.programs/one/control.mjs'), '');
  symlinkSync('one', join(root, '.programs/current'));
  expect(ownPrograms(join(root, '.programs/current/control.mjs'))).toEqual({ root, bundle: '.programs/one' });
  rmSync(root, { recursive: true });
});

test('ownPrograms() is the sources where no bundle runs', () => {
  const entry = join(import.meta.dirname, 'entry.mjs');
  expect(ownPrograms(entry)).toEqual({ root: resolve(import.meta.dirname, '../../..'), bundle: null });
});

test('programFile() falls back to the sources when the bundle has been removed', () => {
  const root = mkdtempSync(join(tmpdir(), 'cupola-programs-'));
  mkdirSync(join(root, '.programs/one'), { recursive: true });
  writeFileSync(join(root, '.programs/one/router.mjs'), '');
  const programs = { root, bundle: '.programs/one' };
  expect(programFile(programs, 'router')).toBe('.programs/one/router.mjs');
  rmSync(join(root, '.programs'), { recursive: true });
  expect(programFile(programs, 'router')).toBe('apps/router/src/main.ts');
  rmSync(root, { recursive: true });
});
