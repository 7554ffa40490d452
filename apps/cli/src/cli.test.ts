import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bench, fakeCf, loggedIn } from './fixtures.ts';

describe('push', () => {
  test('makes the calls of a push in order, and ends with the URL and the split of seconds', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    user.write({
      'server.js': 'x',
      'lib/a.js': 'y',
      '.git/HEAD': 'z',
      'manifest.yml': 'applications:\n- name: web1\n  memory: 64M\n',
    });
    cf.logLines.push({ type: 'STG', instance: '0', text: 'Installing Node.js' });
    const ran = await user.run(['push']);
    expect(ran.stderr).toBe('');
    expect(ran.code).toBe(0);
    expect(ran.stdout).toMatch(
      /web1: http:\/\/web1\.localhost:8080\ndone in [\d.]+ s \(upload [\d.]+ s, stage [\d.]+ s, start [\d.]+ s\)/,
    );
  });
});
