/** A machine that joins a cluster, on this machine: its data folder, and the supervisor of its cell and router. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { freePort } from '@cupola/process/free-port';
import { ROOT, run } from '../platform.ts';
import { askSupervisor } from '../sockets.ts';
import type { ControlPlane } from './control-plane.ts';

interface MemberStatus {
  pid: number;
  port: number;
  httpsPort: number;
  parts: Array<{ name: string; pid: number | null; restarts: number }>;
}

export interface Member {
  readonly data: string;
  /** Of its router. */
  readonly port: number;
  readonly httpsPort: number;
  /** Null while its supervisor does not run. */
  status(): Promise<MemberStatus | null>;
  /** Joins again, as the machine that it was; resolves once its parts serve. No error where it runs already. */
  up(): Promise<void>;
  /** Ends its instances and its parts. */
  down(): Promise<void>;
  /** Swaps its parts for fresh ones. */
  restart(): Promise<void>;
}

/** Joins with all roles, `port` and `httpsPort` those of its router (a free one where none is given); resolves once its parts serve. */
export async function joinCluster(
  plane: ControlPlane,
  {
    data,
    port,
    environment = {},
    ...given
  }: { data: string; port: number; httpsPort?: number; environment?: Record<string, string> },
): Promise<Member> {
  const httpsPort = given.httpsPort ?? (await freePort());
  let supervisor: ChildProcess | null = null;
  const command = async (...words: string[]): Promise<string> =>
    (await run(join(ROOT, 'cupola'), [...words, '--data', data])).stdout;
  const launch = async (token: string | null): Promise<void> => {
    const words = ['join', ...plane.addresses, ...(token === null ? [] : ['--token', token])];
    const flags = ['--data', data, '--no-install', '--json', '--listen', '127.0.0.1'];
    const ports = ['--port', String(port), '--https-port', String(httpsPort)];
    const started = spawn(join(ROOT, 'cupola'), [...words, ...flags, ...ports], {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    supervisor = started;
    await new Promise<void>((resolve, reject) => {
      started.stdout.once('data', () => resolve());
      started.once('error', reject);
      started.once('exit', code => {
        supervisor = null;
        reject(new Error(`join ended with ${code}`));
      });
    });
  };
  await launch(await plane.token());
  return {
    data,
    port,
    httpsPort,
    status: () => askSupervisor<MemberStatus>(data).catch(() => null),
    up: async () => {
      if (supervisor === null) await launch(null);
    },
    down: async () => {
      const ended = supervisor === null ? null : once(supervisor, 'exit');
      await command('down');
      await ended;
    },
    restart: async () => void (await command('restart')),
  };
}
