import { expect, test } from 'vitest';
import { clientName } from './client-name.ts';

test('cf CLIs and our own are named, others are nobody’s business', () => {
  expect(clientName('cf/8.18.4+abc (go1.26; amd64 linux)')).toBe('cf 8.18.4');
  expect(clientName('cf8/v8.7.11 (go1.22; arm64 darwin)')).toBe('cf8 8.7.11');
  expect(clientName('cupola/0.1.0 (node24.21.0; x64 linux)')).toBe('cupola 0.1.0');
  expect(clientName('cupola-git/0.1.0')).toBe('git');
  for (const other of ['', 'node', 'curl/8.1', 'Mozilla/5.0 (X11)', `${'x'.repeat(50)}/1.0 (go1; amd64 linux)`])
    expect(clientName(other)).toBeNull();
});
