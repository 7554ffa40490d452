/** Apps as folders, and a stage that really runs commands, for tests of this package and of the stager. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { CommandFailedError, type Stage, type ToolchainAsk } from './buildpack.ts';

export interface TestFolder extends Disposable {
  path: string;
}

/** A temporary folder with these files: path -> text. */
export function aFolder(files: Readonly<Record<string, string>>): TestFolder {
  const path = mkdtempSync(join(tmpdir(), 'cupola-app-'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), text);
  }
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

export interface TestStage extends Stage, Disposable {
  /** What `say` was told. */
  said: string[];
  asked: ToolchainAsk[];
  ran: string[];
  offered: string[];
}

/** An app's folder as a build finds it. Toolchains are this process' own Node.js and the machine's npm; commands really run. */
export function aStage(files: Readonly<Record<string, string>>, environment: Record<string, string> = {}): TestStage {
  const home = aFolder(Object.fromEntries(Object.entries(files).map(([name, text]) => [`home/app/${name}`, text])));
  const at = (path: string): string => join(home.path, path);
  for (const folder of ['home/app', 'home/deps/0', 'home/profile.d', 'cache', 'toolchain/bin'])
    mkdirSync(at(folder), { recursive: true });
  symlinkSync(process.execPath, at('toolchain/bin/node'));
  const said: string[] = [];
  const asked: ToolchainAsk[] = [];
  const ran: string[] = [];
  const offered: string[] = [];
  const stage: TestStage = {
    app: at('home/app'),
    deps: at('home/deps/0'),
    profileD: at('home/profile.d'),
    cache: at('cache'),
    environment: { PATH: process.env.PATH ?? '', HOME: at('cache'), ...environment },
    said,
    asked,
    ran,
    offered,
    offerPrograms: folder => void offered.push(folder),
    say: line => void said.push(line),
    toolchain: async ask => {
      asked.push(ask);
      return { name: ask.name, version: ask.name === 'node' ? process.versions.node : '11.0.0', path: at('toolchain') };
    },
    run: (argv, more) => {
      ran.push(argv.join(' '));
      return run(argv, stage.app, { ...stage.environment, ...more }).then(() => undefined);
    },
    read: (argv, more) => run(argv, stage.app, { ...stage.environment, ...more }),
    [Symbol.dispose]: () => home[Symbol.dispose](),
  };
  return stage;
}

async function run([program = '', ...args]: readonly string[], cwd: string, env: NodeJS.ProcessEnv): Promise<string> {
  const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { out: '', all: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.out += text;
    output.all += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.all += text;
  });
  const code = await new Promise<number | null>(resolve => {
    child.once('error', () => resolve(127));
    child.once('close', resolve);
  });
  if (code !== 0) throw new CommandFailedError([program, ...args], { code, signal: null, output: output.all });
  return output.out;
}

/** Below those that the kernel lends to connections: nobody gets it before the server that is to have it. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 5_000);
    const server = createServer().listen(port, '127.0.0.1');
    const isFree = await Promise.race([
      once(server, 'listening').then(() => true),
      once(server, 'error').then(() => false),
    ]).catch(() => false);
    if (!isFree) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}
