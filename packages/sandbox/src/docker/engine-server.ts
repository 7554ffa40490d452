/**
 * A Docker engine of a test's own: containerd and dockerd with their data and sockets in one folder, without a network, beside any engine that the machine runs.
 * It may be killed and started again: containers live on. Nothing is left when it is disposed.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
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
import { promisify } from 'node:util';
import { pidsWith, until } from '../fixtures.ts';
import { findTool } from '../rungs.ts';

const run = promisify(execFile);

export interface DockerEngine extends AsyncDisposable {
  /** Its address. */
  host: string;
  /** `docker ARGS`; what it printed, both ways. Throws when it ends with another code than 0. */
  docker(...args: string[]): Promise<string>;
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
}

export async function startDockerEngine(): Promise<DockerEngine> {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-docker-'));
  const places = { folder, log: openSync(join(folder, 'log'), 'a'), cgroup: basename(folder) };
  const host = `unix://${join(folder, 'docker.sock')}`;
  const docker = async (...args: string[]): Promise<string> => {
    const { stdout, stderr } = await run(findTool('docker') ?? 'docker', ['--host', host, ...args], {
      maxBuffer: 16 * 1024 * 1024,
    });
    return stdout + stderr;
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
    for (const id of all.split('\n').filter(Boolean)) await docker('rm', '--force', '--volumes', id);
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
      docker,
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

function startDaemon({ folder, log, cgroup }: Places, host: string): Daemon {
  const args = [
    ...['--host', host, '--containerd', join(folder, 'containerd.sock'), '--live-restore'],
    ...['--data-root', join(folder, 'data'), '--exec-root', join(folder, 'run'), '--pidfile', join(folder, 'pid')],
    ...['--bridge=none', '--iptables=false'],
    ...['--exec-opt', 'native.cgroupdriver=cgroupfs', '--cgroup-parent', `/${cgroup}`],
  ];
  return startTool('dockerd', args, log);
}

async function answering({
  docker,
  folder,
  ended,
}: Pick<DockerEngine, 'docker'> & { folder: string; ended(): boolean }) {
  await until('the Docker engine answers', async () => {
    if (ended()) return 'ended';
    return (await docker('version').catch(() => '')) !== '' ? 'serves' : null;
  });
  if (ended()) throw new Error(readFileSync(join(folder, 'log'), 'utf8').slice(-2_000));
}

async function clearAway({ folder, cgroup }: Places): Promise<void> {
  // Of containers that the engine was made to forget.
  for (const pid of pidsWith(join(folder, 'containerd.sock'))) process.kill(pid, 'SIGKILL');
  for (const file of globSync(join(folder, 'containerd-run/io.containerd.runtime.v2.task/*/*/address')))
    rmSync(readFileSync(file, 'utf8').replace('unix://', ''), { force: true });
  for (const point of mountsBelow(folder)) await run('umount', ['--lazy', point]);
  rmSync(folder, { recursive: true, force: true });
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
