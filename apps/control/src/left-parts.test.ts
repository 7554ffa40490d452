import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { endLeftParts, rememberPart } from './left-parts.ts';

let data: string;
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'cupola-left-'));
  mkdirSync(join(data, 'run'));
});
afterEach(() => rmSync(data, { recursive: true, force: true }));

test('endLeftParts() has nothing to do at a first start', async () => {
  await endLeftParts(data);
  expect(existsSync(join(data, 'run', 'parts.json'))).toBe(false);
});

test('endLeftParts() waits until a part that is ending has ended', async () => {
  const script = 'process.stdin.on("end", () => process.exit(0)).resume(); console.log("up")';
  const child = spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'pipe', 'ignore'] });
  await once(child.stdout, 'data');
  rememberPart(data, 'control', Number(child.pid));
  const ended = new Promise(resolve => child.once('exit', resolve));
  child.stdin.end();
  await endLeftParts(data);
  await ended;
  expect(child.exitCode).toBe(0);
});

test('endLeftParts() leaves a process alone that merely has the pid of a former part', async () => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  rememberPart(data, 'control', Number(child.pid));
  const { readFileSync, writeFileSync } = await import('node:fs');
  const file = join(data, 'run', 'parts.json');
  const [part] = JSON.parse(readFileSync(file, 'utf8')) as [{ name: string; pid: number; started: string }];
  writeFileSync(file, JSON.stringify([{ ...part, started: '1' }]));
  await endLeftParts(data);
  expect(child.exitCode).toBeNull();
  expect(child.signalCode).toBeNull();
  child.kill('SIGKILL');
});
