import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeSshKey } from './ssh-key.ts';

test('makeSshKey() makes what ssh-keygen reads as that key', () => {
  const made = makeSshKey('cupola-shop');
  const folder = mkdtempSync(join(tmpdir(), 'cupola-key-'));
  const file = join(folder, 'key');
  writeFileSync(file, made.private, { mode: 0o600 });
  const { stdout, stderr } = spawnSync('ssh-keygen', ['-y', '-f', file], { encoding: 'utf8' });
  rmSync(folder, { recursive: true });
  expect({ line: stdout.trim(), stderr }).toEqual({ line: made.line, stderr: '' });
});
