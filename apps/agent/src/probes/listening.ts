/**
 * Who listens where, read from /proc: tells an app on the wrong port from one that is not up yet. Only asked once a probe has failed for good: the kernel
 * walks its whole table of connections for it, which takes up to 70 ms on a large machine, so it is read in the thread pool.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';

export interface Listener {
  port: number;
  loopbackOnly: boolean;
  inode: string;
}

const LISTEN = '0A';
/** Descendants looked through for sockets: an app that has more is not diagnosed, only said to be unreachable. */
const PROCESSES_MAX = 200;

/** All listening TCP sockets of the process's network; empty when it cannot be read (it has just ended, or this is not Linux). */
export async function listeners(pid: number): Promise<Listener[]> {
  const tables = await Promise.all(['tcp', 'tcp6'].map(name => read(`/proc/${pid}/net/${name}`)));
  return tables.flatMap(parse);
}

/** Rows of /proc/net/tcp and tcp6. */
export function parse(table: string): Listener[] {
  return table
    .split('\n')
    .slice(1)
    .flatMap(row => {
      const [, local = '', , state, , , , , , inode = ''] = row.trim().split(/\s+/);
      const [address = '', port = ''] = local.split(':');
      if (state !== LISTEN) return [];
      return [{ port: Number.parseInt(port, 16), loopbackOnly: isLoopback(address), inode }];
    });
}

/** Addresses are in host order, 32 bits at a time: 0100007F is 127.0.0.1. */
function isLoopback(address: string): boolean {
  if (address.length === 8) return address.endsWith('7F');
  const isMapped = address.startsWith('0000000000000000FFFF0000') && address.endsWith('7F');
  return isMapped || address === '00000000000000000000000001000000';
}

/** Those of the process and what it has started: on the host's network the table shows everybody's. */
export async function ownListeners(pid: number): Promise<Listener[]> {
  const inodes = new Set((await Promise.all((await descendants(pid)).map(socketInodes))).flat());
  return (await listeners(pid)).filter(({ inode }) => inodes.has(inode));
}

/** The process and what it has started, the first {@link PROCESSES_MAX} of them. */
export async function descendants(pid: number): Promise<number[]> {
  const found = [pid];
  for (let at = 0; at < found.length && found.length < PROCESSES_MAX; at++) {
    const children = await read(`/proc/${found[at]}/task/${found[at]}/children`);
    found.push(...children.split(' ').filter(Boolean).map(Number));
  }
  return found;
}

async function socketInodes(pid: number): Promise<string[]> {
  // Ended meanwhile, or not ours to look at: then it has none.
  const fds = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const targets = await Promise.all(fds.map(fd => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
  return targets.flatMap(target => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []);
}

function read(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => ''); // Ended meanwhile.
}
