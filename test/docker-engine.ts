/** A Docker engine of a test's own: its daemon, data and socket in one folder, no network of its own; nothing is left when it is disposed. */
import { execFile, spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { until } from './platform.ts';

const run = promisify(execFile);

export interface DockerEngine extends AsyncDisposable {
  /** `docker ARGS`; what it printed, both ways. Throws when it ends with another code than 0. */
  docker(...args: string[]): Promise<string>;
}

/** Why no engine can be started here; null when it can be tried. */
export function dockerMissing(): string | null {
  if (process.getuid?.() !== 0) return 'only root may start one';
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  const missing = ['dockerd', 'docker'].filter(name => !folders.some(folder => isExecutable(join(folder, name))));
  return missing.length === 0 ? null : `${missing.join(' and ')} missing`;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false; // Not in this folder.
  }
}

export async function startDockerEngine(): Promise<DockerEngine> {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-docker-'));
  const socket = `unix://${join(folder, 'docker.sock')}`;
  const log = openSync(join(folder, 'log'), 'w');
  const daemon = spawn(
    'dockerd',
    [
      ...['--host', socket, '--data-root', join(folder, 'data'), '--exec-root', join(folder, 'run')],
      ...['--pidfile', join(folder, 'pid'), '--bridge=none', '--iptables=false'],
      // One that the machine may run besides shares nothing with it.
      ...['--containerd-namespace', 'cupola-test', '--containerd-plugins-namespace', 'cupola-test-plugins'],
      ...['--exec-opt', 'native.cgroupdriver=cgroupfs'],
    ],
    { stdio: ['ignore', log, log], env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` } },
  );
  const ended = new Promise<void>(resolve => daemon.once('close', () => resolve()));
  const docker = async (...args: string[]): Promise<string> => {
    const { stdout, stderr } = await run('docker', ['--host', socket, ...args], { maxBuffer: 16 * 1024 * 1024 });
    return stdout + stderr;
  };
  const dispose = async (): Promise<void> => {
    daemon.kill();
    await ended;
    for (const point of mountsBelow(folder)) await run('umount', ['--lazy', point]);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await until('the Docker engine answers', async () => {
      if (daemon.exitCode !== null) return 'ended';
      return (await docker('version')) !== '' ? 'serves' : null;
    });
    if (daemon.exitCode !== null) throw new Error(readFileSync(join(folder, 'log'), 'utf8').slice(-2_000));
    return { docker, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
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
