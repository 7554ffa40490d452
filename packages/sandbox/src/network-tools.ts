/** The host's networking through `ip` and `nft`, by argument lists: links, namespaces, routes, rules. */
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { promisify } from 'node:util';
import { type Cidr, formatCidr, parseCidr } from './cidr.ts';
import { findTool } from './rungs.ts';

const run = promisify(execFile);

/** Why this machine gives no networks; null when it may. */
export function networksMissing(): string | null {
  if (process.platform !== 'linux') return 'only Linux has network namespaces';
  if (process.getuid?.() !== 0) return 'needs root';
  const lacking = [
    ['ip', 'iproute2'],
    ['nft', 'nftables'],
  ].filter(([tool = '']) => findTool(tool) === null);
  return lacking.length === 0 ? null : `not installed: ${lacking.map(([, name]) => name).join(', ')}`;
}

/** Throws with what the tool said. */
async function tool(name: 'ip' | 'nft' | 'nsenter', args: string[], input = ''): Promise<string> {
  const running = run(findTool(name) ?? name, args, { maxBuffer: 16 * 1024 * 1024 });
  running.child.stdin?.on('error', () => undefined); // It ended before it read all: told by its exit code.
  running.child.stdin?.end(input);
  try {
    return (await running).stdout;
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim();
    throw new Error(`${name} ${args.join(' ')}: ${said || (error as Error).message}`, { cause: error });
  }
}

const ip = (...args: string[]): Promise<string> => tool('ip', args);
/** Several commands in one process, up to the first that fails. */
export const ipBatch = (commands: string[][], before: string[] = []): Promise<string> =>
  tool('ip', [...before, '-batch', '-'], commands.map(words => `${words.join(' ')}\n`).join(''));
/** The same in the network of a process, which has no name here. */
export const ipBatchOf = (pid: number, commands: string[][]): Promise<string> =>
  tool(
    'nsenter',
    [`--net=/proc/${pid}/ns/net`, findTool('ip') ?? 'ip', '-batch', '-'],
    commands.map(words => `${words.join(' ')}\n`).join(''),
  );
/** The whole file or nothing of it. */
export const loadRules = (rules: string): Promise<string> => tool('nft', ['-f', '-'], rules);
export const nft = (...args: string[]): Promise<string> => tool('nft', args);

/** Networks that the host has routes to, without those as wide as half the internet: a default route overlaps everything. */
export async function hostRoutes(): Promise<Cidr[]> {
  const routes = JSON.parse((await ip('-json', '-4', 'route', 'show', 'table', 'all')) || '[]') as Array<{
    dst: string;
  }>;
  return routes.flatMap(({ dst }) => parseCidr(dst) ?? []).filter(({ bits }) => bits >= 8);
}

/** Marks a block as taken: a route that leads nowhere, under those of the namespaces in it. False when another has it: the kernel adds a route only once. */
export async function claimBlock(block: Cidr): Promise<boolean> {
  try {
    await ip('route', 'add', 'unreachable', formatCidr(block));
    return true;
  } catch (error) {
    if (/File exists/.test((error as Error).message)) return false;
    throw error;
  }
}

export async function releaseBlock(block: Cidr): Promise<void> {
  try {
    await ip('route', 'del', 'unreachable', formatCidr(block));
  } catch (error) {
    if (!/No such process/.test((error as Error).message)) throw error; // It is not there: released before.
  }
}

/** On the loopback device. Who besides this host's sandboxes may reach it, rules say. */
export async function addHostAddress(address: string): Promise<void> {
  await ip('addr', 'replace', `${address}/32`, 'dev', 'lo');
}

export async function removeHostAddress(address: string): Promise<void> {
  try {
    await ip('addr', 'del', `${address}/32`, 'dev', 'lo');
  } catch (error) {
    if (!/Cannot assign requested address|Address not found/.test((error as Error).message)) throw error; // It is not there: removed before.
  }
}

/** Every address of it is the host's own from then on. Who may reach them, rules say. */
export async function addHostBlock(block: Cidr): Promise<void> {
  await ip('route', 'replace', 'local', formatCidr(block), 'dev', 'lo');
}

export async function removeHostBlock(block: Cidr): Promise<void> {
  try {
    await ip('route', 'del', 'local', formatCidr(block), 'dev', 'lo');
  } catch (error) {
    if (!/No such process/.test((error as Error).message)) throw error; // It is not there.
  }
}

/** Names of the network namespaces that begin so. */
export function namespacesNamed(prefix: string): string[] {
  try {
    return readdirSync('/run/netns').filter(name => name.startsWith(prefix));
  } catch {
    return []; // Nobody has made any yet.
  }
}
