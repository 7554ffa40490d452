import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readPublicKey } from '../public-key.ts';
import { makeDeployKey } from './deploy-key.ts';

test('makeDeployKey() makes what ssh-keygen reads as that key', () => {
  const made = makeDeployKey('cupola-shop');
  expect(readPublicKey(made.line)).toMatchObject({ algorithm: 'ssh-ed25519' });
  const folder = mkdtempSync(join(tmpdir(), 'cupola-key-'));
  const file = join(folder, 'key');
  writeFileSync(file, made.private, { mode: 0o600 });
  const { stdout, stderr } = spawnSync('ssh-keygen', ['-y', '-f', file], { encoding: 'utf8' });
  rmSync(folder, { recursive: true });
  expect({ line: stdout.trim(), stderr }).toEqual({ line: made.line, stderr: '' });
});
