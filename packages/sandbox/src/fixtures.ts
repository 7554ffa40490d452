/** What the tests of sandboxes stand on: specs with good defaults, temp folders, waiting for a condition. */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RunningSandbox, SandboxExit, Sandboxes, SandboxSpec } from './sandbox.ts';

/** Uids of the tests' sandboxes and canaries: nobody else's. */
const TEST_UID = 71_900;
export const CANARY_UID = 69_996;

/** A temp folder that other uids may go through, and that goes with the test. */
export function tempFolder(): Disposable & { path: string } {
  const path = mkdtempSync(join(tmpdir(), 'cupola-sandbox-'));
  chmodSync(path, 0o711);
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true, maxRetries: 5 }) };
}

/** A layer as the agent unpacks it: owned by the app's uid where it has one of its own. Goes with the test. */
export function layer(files: Record<string, string>): Disposable & { path: string } {
  const folder = tempFolder();
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(folder.path, path, '..'), { recursive: true });
    writeFileSync(join(folder.path, path), text);
  }
  own(folder.path);
  return folder;
}

/** A root filesystem with these programs of the machine, what they need, and no shell: as an image may be. Goes with the test. */
export function imageRoot(...programs: string[]): Disposable & { path: string } {
  const folder = tempFolder();
  for (const program of programs) {
    const libraries = execFileSync('ldd', [program], { encoding: 'utf8' }).match(/\/\S+/g) ?? [];
    for (const path of [program, ...libraries]) {
      mkdirSync(join(folder.path, path, '..'), { recursive: true });
      cpSync(realpathSync(path), join(folder.path, path));
    }
  }
  own(folder.path);
  return folder;
}

function own(folder: string): void {
  if (process.getuid?.() !== 0) return;
  for (const path of ['', ...readdirSync(folder, { recursive: true, encoding: 'utf8' })])
    lchownSync(join(folder, path), TEST_UID, TEST_UID);
}

export function aSpec(overrides: Partial<SandboxSpec> = {}): SandboxSpec {
  return {
    guid: `test-${randomUUID()}`,
    uid: TEST_UID,
    mounts: [],
    files: {},
    argv: ['true'],
    cwd: '/',
    environment: { PATH: '/usr/bin:/bin' },
    limits: { memoryMb: 64, cpuShare: 0.1, pidsMax: 64, diskMb: 16 },
    network: { kind: 'host' },
    logRateBytesPerSecond: -1,
    ...overrides,
  };
}

/** A spec that runs a shell script. */
export function script(text: string, overrides: Partial<SandboxSpec> = {}): SandboxSpec {
  return aSpec({ argv: ['/bin/sh', '-c', text], ...overrides });
}

/** Waits for a condition that something outside makes true. Polls, since what it looks at tells nobody; gives up loudly. */
export async function until<T>(
  what: string,
  look: () => T | false | null | undefined | Promise<T | false | null | undefined>,
  withinMs = 50_000,
): Promise<T> {
  const end = performance.now() + withinMs;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}

/** Takes lines until one satisfies; gives what came so far and the position after it. */
export async function readUntil(
  sandbox: RunningSandbox,
  isIt: (line: string) => boolean,
  from?: string,
): Promise<{ lines: string[]; position: string }> {
  const lines: string[] = [];
  for await (const { line, position } of sandbox.output(from)) {
    lines.push(line);
    if (isIt(line)) return { lines, position };
  }
  throw new Error(`it ended without that line, after: ${lines.join(' | ')}`);
}

export interface Ran {
  out: string[];
  err: string[];
  droppedBytes: number;
  exit: SandboxExit;
}

/** Reads a sandbox to its end and removes it. */
export async function finish(sandbox: RunningSandbox, from?: string): Promise<Ran> {
  const ran: Ran = {
    out: [],
    err: [],
    droppedBytes: 0,
    exit: { code: null, signal: null, outOfMemory: false, lost: true, atMs: 0 },
  };
  for await (const { stream, line, droppedBytes, unreadBytes } of sandbox.output(from)) {
    ran.droppedBytes += droppedBytes;
    if (droppedBytes + unreadBytes === 0) ran[stream].push(line);
  }
  ran.exit = await sandbox.ended;
  await sandbox.remove();
  return ran;
}

/** Host pids whose command line has this in it; ended ones have none. */
export function pidsWith(marker: string): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .filter(name => {
      try {
        return readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(marker);
      } catch {
        return false; // It has just ended.
      }
    })
    .map(Number);
}

/** Starts it, reads it to its end, removes it. */
export async function runToEnd(sandboxes: Sandboxes, spec: SandboxSpec): Promise<Ran> {
  return await finish(await sandboxes.start(spec));
}

const COLUMNS = ['util-linux', 'bwrap', 'runc', 'docker', 'user', 'process'];

/** What docs/sandboxes.md says of a rung: for root, or for an ordinary user. */
export function pageSays(rung: string): Record<string, boolean> {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/sandboxes.md'), 'utf8');
  const name = rung === 'crun' ? 'runc' : rung;
  const isUser = process.getuid?.() !== 0 && name !== 'process';
  const column = COLUMNS.indexOf(isUser ? 'user' : name);
  const rows = [...page.matchAll(/^\| `(\w+)`: [^|]*\|(.*)\|$/gm)];
  return Object.fromEntries(rows.map(([, key, cells = '']) => [key, cells.split('|')[column]?.trim() === 'yes']));
}
