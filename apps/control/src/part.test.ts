import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Part, type PartCommand, startPart } from './part.ts';
import { openPartLog } from './part-log.ts';

/** A part as ours are: says that it is ready, answers orders in its log, ends with its stdin. */
const OBEDIENT = `
  const fs = require('node:fs');
  fs.writeSync(3, JSON.stringify({ ready: { pid: process.pid } }) + '\\n');
  process.stdin.on('data', text => fs.appendFileSync(process.env.ORDERS, String(text)));
  process.stdin.on('end', () => process.exit(0));
`;
/** Does not even notice the end of its stdin. */
const STUBBORN = `
  require('node:fs').writeSync(3, JSON.stringify({ ready: { pid: process.pid } }) + '\\n');
  setInterval(() => {}, 1000);
`;
const REFUSING = `
  require('node:fs').writeSync(3, JSON.stringify({ refused: 'no sandbox works here' }) + '\\n');
  process.exit(1);
`;

let folder: string;
let parts: Part[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cupola-part-'));
  parts = [];
  writeFileSync(join(folder, 'orders'), '');
});
afterEach(async () => {
  await Promise.all(parts.map(part => part.end(0)));
  rmSync(folder, { recursive: true, force: true });
});

function begin(script: string, heard: { born?: number[]; refused?(text: string): void } = {}): Part {
  const command = (): PartCommand => ({
    argv: [process.execPath, '-e', script],
    environment: { ORDERS: join(folder, 'orders') },
    passFds: [],
  });
  const part = startPart('test', command, {
    now: () => performance.now(),
    log: openPartLog(join(folder, 'test.log')),
    report: () => undefined,
    born: (_, pid) => void heard.born?.push(pid),
    refused: heard.refused ?? (() => undefined),
    backoffMaxMs: 1_000,
  });
  parts.push(part);
  return part;
}

test('ready() tells what the part said', async () => {
  const part = begin(OBEDIENT);
  expect(await part.ready()).toEqual({ pid: part.pid });
});

test('a killed part is started again, and counted', async () => {
  const born: number[] = [];
  const part = begin(OBEDIENT, { born });
  const { pid } = await part.ready();
  process.kill(Number(pid), 'SIGKILL');
  await expect.poll(() => part.pid !== null && part.pid !== pid).toBe(true);
  expect(await part.ready()).toEqual({ pid: part.pid });
  expect(part.restarts).toBe(1);
  expect(born).toEqual([pid, part.pid]);
});

test('replaceBeside() has a successor that serves before the old process ends', async () => {
  const part = begin(OBEDIENT);
  const { pid } = await part.ready();
  await part.replaceBeside();
  expect(await part.ready()).toEqual({ pid: part.pid });
  expect(part.pid).not.toBe(pid);
  await expect.poll(() => gone(Number(pid))).toBe(true);
  expect(part.restarts).toBe(0);
});

test('replaceAfter() ends the old process, by force where it must, before the next begins', async () => {
  const part = begin(STUBBORN);
  const { pid } = await part.ready();
  await part.replaceAfter(50);
  expect(gone(Number(pid))).toBe(true);
  expect(await part.ready()).toEqual({ pid: part.pid });
});

test('tell() writes a line to its stdin', async () => {
  const part = begin(OBEDIENT);
  await part.ready();
  part.tell('stop-all');
  await expect.poll(() => readFileSync(join(folder, 'orders'), 'utf8')).toBe('stop-all\n');
});

test('end() closes stdin and waits; nothing is started again', async () => {
  const part = begin(OBEDIENT);
  const { pid } = await part.ready();
  await part.end(10_000);
  expect(gone(Number(pid))).toBe(true);
  expect(part.pid).toBeNull();
});

test('end() while it is being replaced waits for the old process, and no successor begins', async () => {
  const born: number[] = [];
  const part = begin(OBEDIENT, { born });
  const { pid } = await part.ready();
  const replaced = part.replaceAfter(10_000);
  await part.end(10_000);
  expect(gone(Number(pid))).toBe(true);
  await replaced;
  await part.replaceBeside();
  expect(born).toEqual([pid]);
});

test('end() ends the wait for a successor that does not come up', async () => {
  const part = begin("setInterval(() => {}, 1000); process.stdin.resume().on('end', () => process.exit(0))");
  const replaced = part.replaceAfter(10_000);
  await expect.poll(() => part.pid).not.toBeNull();
  await part.end(10_000);
  await replaced;
  expect(part.pid).toBeNull();
});

test('a part that refuses to start says why, and that there is no use in waiting for it', async () => {
  const said = Promise.withResolvers<string>();
  const part = begin(REFUSING, { refused: said.resolve });
  expect(await said.promise).toBe('no sandbox works here');
  expect(part.isRefused).toBe(true);
});

test('a part that was refused and starts after all is waited for again', async () => {
  const part = begin(`
    const fs = require('node:fs');
    const isFirst = fs.readFileSync(process.env.ORDERS, 'utf8') === '';
    fs.writeFileSync(process.env.ORDERS, 'seen');
    fs.writeSync(3, JSON.stringify(isFirst ? { refused: 'not yet' } : { ready: {} }) + '\\n');
    if (isFirst) process.exit(1);
    setInterval(() => {}, 1000);
  `);
  await part.ready();
  expect(part.restarts).toBe(1);
  expect(part.isRefused).toBe(false);
});

function gone(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z');
  } catch {
    return true;
  }
}
