/**
 * Whether somebody still asks a copy, seen from outside it: connections to its port in its network's table, those that wait to be accepted too. The router
 * closes idle ones as soon as a copy has left its routes, so what is left are requests under way, or a router that has not heard of it yet.
 */
import { readFile } from 'node:fs/promises';
import { pause } from '../pause.ts';

const ESTABLISHED = '01';
/** Requests end in ms; the kernel walks its table of connections for each look (ours). */
const LOOK_MS = 50;

export interface Asked {
  /** A process in the copy's network; null once it has ended. */
  pid(): number | null;
  port: number;
  /** The network is the copy's own: connections within it are its own affair. */
  isOwnNetwork: boolean;
}

/** Resolves when no connection is left, after `withinMs`, or when `signal` is aborted. */
export async function untilUnasked(asked: Asked, withinMs: number, signal: AbortSignal): Promise<void> {
  const enough = AbortSignal.any([signal, AbortSignal.timeout(withinMs)]);
  while (!enough.aborted) {
    const pid = asked.pid();
    if (pid === null || !(await isConnected(pid, asked))) return;
    await pause(LOOK_MS, enough);
  }
}

async function isConnected(pid: number, asked: Pick<Asked, 'port' | 'isOwnNetwork'>): Promise<boolean> {
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map(name => readFile(`/proc/${pid}/net/${name}`, 'utf8').catch(() => '')), // It has just ended.
  );
  return tables.some(table => hasConnection(table, asked));
}

/** Rows of /proc/net/tcp and tcp6: local and remote address, `HEX:PORT`, and the state. */
export function hasConnection(table: string, { port, isOwnNetwork }: Pick<Asked, 'port' | 'isOwnNetwork'>): boolean {
  return table
    .split('\n')
    .slice(1)
    .some(row => {
      const [, local = '', remote = '', state] = row.trim().split(/\s+/);
      const isTo = state === ESTABLISHED && Number.parseInt(local.split(':')[1] ?? '', 16) === port;
      return isTo && !(isOwnNetwork && isLoopback(remote));
    });
}

/** 32 bits at a time in host order: 0100007F is 127.0.0.1, on IPv6 behind a prefix. */
function isLoopback(remote: string): boolean {
  const [address = ''] = remote.split(':');
  return address.endsWith('7F') || address === '00000000000000000000000001000000';
}
