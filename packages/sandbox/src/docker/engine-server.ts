/**
 * A Docker engine of a test's own: containerd and dockerd with their data and sockets in one folder, beside any engine that the machine runs. It has no network, or
 * one of its own without a rule in this machine's packet filter: other tests are not to notice.
 * It may be killed and started again: containers live on. Nothing is left when it is disposed.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  globSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { pidsWith, until } from '../fixtures.ts';
import { findTool } from '../rungs.ts';

const run = promisify(execFile);

export interface DockerEngine extends AsyncDisposable {
  /** Its address. */
  host: string;
  /** Where it keeps everything. */
  dataRoot: string;
  /** `docker ARGS`; what it printed, both ways. Throws when it ends with another code than 0. */
  docker(...args: string[]): Promise<string>;
  /** The same with something to read. */
  dockerFrom(input: Readable, ...args: string[]): Promise<string>;
  /** SIGKILL to the engine; containerd and containers go on. */
  kill(): Promise<void>;
  /** After `kill`. */
  startAgain(): Promise<void>;
  /** After `kill`: it will not know this container any more, which runs on. */
  forget(id: string): void;
}

/** Why no engine can be started here; null when it can be tried. */
export function dockerMissing(): string | null {
  if (process.getuid?.() !== 0) return 'only root may start one';
  const missing = ['dockerd', 'containerd', 'docker'].filter(name => findTool(name) === null);
  return missing.length === 0 ? null : `${missing.join(' and ')} missing`;
}

interface Places {
  folder: string;
  log: number;
  cgroup: string;
  /** Null: no container has a network. */
  bridge: string | null;
}

/** @param options.networks containers may have networks, and publish ports. */
export async function startDockerEngine({ networks = false } = {}): Promise<DockerEngine> {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-docker-'));
  const bridge = networks ? `cupd${randomBytes(3).toString('hex')}` : null;
  const places = { folder, log: openSync(join(folder, 'log'), 'a'), cgroup: basename(folder), bridge };
  if (bridge !== null) await makeBridge(bridge);
  const host = `unix://${join(folder, 'docker.sock')}`;
  const docker = async (...args: string[]): Promise<string> => {
    const { stdout, stderr } = await run(findTool('docker') ?? 'docker', ['--host', host, ...args], {
      maxBuffer: 16 * 1024 * 1024,
    });
    return stdout + stderr;
  };
  const dockerFrom = async (input: Readable, ...args: string[]): Promise<string> => {
    const ran = run(findTool('docker') ?? 'docker', ['--host', host, ...args]);
    if (ran.child.stdin === null) throw new Error('it has no stdin');
    ran.child.stdin.on('error', () => undefined); // It has ended before it read all: told by how.
    input.pipe(ran.child.stdin);
    return (await ran).stdout;
  };
  const containerd = startContainerd(places);
  let daemon = startDaemon(places, host);
  const answers = (): Promise<void> => answering({ docker, folder, ended: () => daemon.child.exitCode !== null });
  const startAgain = async (): Promise<void> => {
    // It would take it for one that runs.
    rmSync(join(folder, 'pid'), { force: true });
    daemon = startDaemon(places, host);
    await answers();
  };
  const dispose = async (): Promise<void> => {
    if (daemon.child.signalCode !== null) await startAgain();
    const all = await docker('ps', '--all', '--quiet').catch(() => '');
    // One may be going already; what is left is cleared away below.
    for (const id of all.split('\n').filter(Boolean))
      await docker('rm', '--force', '--volumes', id).catch(() => undefined);
    for (const { child, ended } of [daemon, containerd]) {
      child.kill();
      await ended;
    }
    await clearAway(places);
  };
  try {
    await answers();
    return {
      host,
      dataRoot: join(folder, 'data'),
      docker,
      dockerFrom,
      kill: async () => {
        daemon.child.kill('SIGKILL');
        await daemon.ended;
      },
      startAgain,
      forget: id => rmSync(join(folder, 'data', 'containers', id), { recursive: true }),
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Of networks that containers are given: not Docker's own 172.16/12, which this machine may be part of. */
const POOL = '10.252.0.0/16';

/** Its address is where containers find this machine. */
async function makeBridge(name: string): Promise<void> {
  const { stdout } = await run('ip', ['-o', '-4', 'addr']);
  const free = Array.from({ length: 256 }, (_, index) => `10.251.${index}.1`).find(
    each => !stdout.includes(`${each}/`),
  );
  await run('ip', ['link', 'add', name, 'type', 'bridge']);
  await run('ip', ['addr', 'add', `${free}/24`, 'dev', name]);
  await run('ip', ['link', 'set', name, 'up']);
}

interface Daemon {
  child: ChildProcess;
  ended: Promise<void>;
}

function startTool(name: string, args: string[], log: number): Daemon {
  const child = spawn(findTool(name) ?? name, args, {
    stdio: ['ignore', log, log],
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
  });
  return { child, ended: new Promise(resolve => child.once('close', () => resolve())) };
}

/** A process of its own: with the engine's own child containers would not outlive a SIGKILL of the engine. */
function startContainerd({ folder, log }: Places): Daemon {
  const file = join(folder, 'containerd.toml');
  writeFileSync(
    file,
    `version = 2
root = "${folder}/containerd"
state = "${folder}/containerd-run"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "${folder}/containerd.sock"
`,
  );
  return startTool('containerd', ['--config', file], log);
}

function startDaemon({ folder, log, cgroup, bridge }: Places, host: string): Daemon {
  const args = [
    ...['--host', host, '--containerd', join(folder, 'containerd.sock'), '--live-restore'],
    ...['--data-root', join(folder, 'data'), '--exec-root', join(folder, 'run'), '--pidfile', join(folder, 'pid')],
    ...[`--bridge=${bridge ?? 'none'}`, '--iptables=false', '--ip-forward=false', '--ip-masq=false'],
    ...(bridge === null ? [] : ['--default-address-pool', `base=${POOL},size=24`]),
    ...['--exec-opt', 'native.cgroupdriver=cgroupfs', '--cgroup-parent', `/${cgroup}`],
  ];
  return startTool('dockerd', args, log);
}

/** On a machine that has other tests to serve. */
const UP_MS = 150_000;

async function answering({
  docker,
  folder,
  ended,
}: Pick<DockerEngine, 'docker'> & { folder: string; ended(): boolean }) {
  await until(
    'the Docker engine answers',
    async () => {
      if (ended()) return 'ended';
      return (await docker('version').catch(() => '')) !== '' ? 'serves' : null;
    },
    UP_MS,
  );
  if (ended()) throw new Error(readFileSync(join(folder, 'log'), 'utf8').slice(-2_000));
}

async function clearAway({ folder, cgroup, bridge }: Places): Promise<void> {
  if (bridge !== null) await run('ip', ['link', 'del', bridge]);
  // Of containers that the engine was made to forget.
  for (const pid of pidsWith(join(folder, 'containerd.sock')))
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has just ended.
    }
  for (const file of globSync(join(folder, 'containerd-run/io.containerd.runtime.v2.task/*/*/address')))
    rmSync(readFileSync(file, 'utf8').replace('unix://', ''), { force: true });
  for (const point of mountsBelow(folder)) await run('umount', ['--lazy', point]);
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  for (const hierarchy of ['', ...readdirSync('/sys/fs/cgroup')])
    await until(`its control groups are gone`, () => removeGroup(join('/sys/fs/cgroup', hierarchy, cgroup)));
}

/** False while something in it is still ending. */
function removeGroup(folder: string): boolean {
  if (!existsSync(folder)) return true;
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true }))
      if (entry.isDirectory()) removeGroup(join(folder, entry.name));
    rmdirSync(folder);
    return true;
  } catch {
    return false;
  }
}

/** Innermost first. */
function mountsBelow(folder: string): string[] {
  return readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map(line => line.split(' ')[1] ?? '')
    .filter(point => point.startsWith(folder))
    .reverse();
}
