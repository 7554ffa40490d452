import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { linkAtStart } from './links.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'cupola-links-'));
  for (const folder of ['profile.d', 'deps/0/bin']) mkdirSync(join(home, folder), { recursive: true });
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const SCRIPT = 'profile.d/0-links.sh';

test('linkAtStart() moves a link to a program of the stack into a script that makes it again', () => {
  symlinkSync('/usr/bin/env', join(home, "deps/0/bin/it's"));
  linkAtStart(home);
  expect(() => lstatSync(join(home, "deps/0/bin/it's"))).toThrow('ENOENT');
  const script = readFileSync(join(home, SCRIPT), 'utf8').replaceAll('/home/vcap/', `${home}/`);
  execFileSync('sh', ['-c', script]);
  expect(readlinkSync(join(home, "deps/0/bin/it's"))).toBe('/usr/bin/env');
});

test('linkAtStart() leaves links that stay in the droplet, and writes nothing when there are no others', () => {
  symlinkSync('b', join(home, 'deps/0/bin/a'));
  symlinkSync('/home/vcap/app', join(home, 'deps/0/app'));
  linkAtStart(home);
  expect(readlinkSync(join(home, 'deps/0/bin/a'))).toBe('b');
  expect(readlinkSync(join(home, 'deps/0/app'))).toBe('/home/vcap/app');
  expect(existsSync(join(home, SCRIPT))).toBe(false);
});

test('linkAtStart() says so where a build has linked a whole system', () => {
  for (let at = 0; at <= 200; at++) symlinkSync('/usr/bin/env', join(home, `deps/0/bin/p${at}`));
  expect(() => linkAtStart(home)).toThrow(/left 201 links out of the droplet/);
});
