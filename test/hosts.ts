/**
 * Machines of a cluster as network namespaces of this one: each has an address of its own on a switch that stands in a namespace too, so that nothing of
 * this machine's own network (a Docker engine's rules, say) has a word in it. A cable can be pulled. Needs root.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT, until } from './platform.ts';
import { askSupervisor } from './sockets.ts';

const run = promisify(execFile);

export interface Host extends AsyncDisposable {
  readonly address: string;
  readonly data: string;
  /** `./cupola ARGS` on that machine, with its data folder; resolves when it has ended well. */
  cupola(args: string[]): Promise<string>;
  /** Joins a cluster, and resolves once its parts serve. */
  join(addresses: string | readonly string[], token: string | null, flags?: readonly string[]): Promise<void>;
  /** Pid of a part. */
  pidOf(part: string): Promise<number>;
  /** Nothing goes out or comes in any more, or again. */
  cable(is: 'pulled' | 'in'): Promise<void>;
  /** All of its processes, at once and without a word. */
  powerOff(): void;
}

export interface Network extends AsyncDisposable {
  /** Under which this machine, where the tests and the first platform are, is reached by the hosts. */
  readonly address: string;
  host(): Promise<Host>;
}

/** At most 250 hosts, on a network that no route of this machine leads to. */
export async function openNetwork(): Promise<Network> {
  const name = `cup${randomBytes(3).toString('hex')}`;
  const prefix = await freePrefix();
  const ip = (...args: string[]) => run('ip', args);
  const disposing = new AsyncDisposableStack();
  const namespace = async (of: string): Promise<void> => {
    await ip('netns', 'add', of);
    disposing.defer(async () => {
      await ip('netns', 'del', of);
    });
    await ip('-n', of, 'link', 'set', 'lo', 'up');
  };
  /** Plugs `peer` (in a namespace, or here) into the switch. */
  const plug = async (
    port: string,
    peer: { name: string; namespace: string | null; address: string },
  ): Promise<void> => {
    await ip('link', 'add', port, 'type', 'veth', 'peer', 'name', peer.name);
    await ip('link', 'set', port, 'netns', name);
    if (peer.namespace !== null) await ip('link', 'set', peer.name, 'netns', peer.namespace);
    const at = peer.namespace === null ? [] : ['-n', peer.namespace];
    await ip('-n', name, 'link', 'set', port, 'master', 'switch');
    await ip('-n', name, 'link', 'set', port, 'up');
    await ip(...at, 'addr', 'add', `${peer.address}/24`, 'dev', peer.name);
    await ip(...at, 'link', 'set', peer.name, 'up');
  };
  await namespace(name);
  await ip('-n', name, 'link', 'add', 'switch', 'type', 'bridge');
  await ip('-n', name, 'link', 'set', 'switch', 'up');
  await plug(`${name}s0`, { name: `${name}p0`, namespace: null, address: `${prefix}.1` });
  let hosts = 0;
  return {
    address: `${prefix}.1`,
    host: async () => {
      const number = ++hosts;
      const own = `${name}${number}`;
      const port = `${name}s${number}`;
      const address = `${prefix}.${number + 1}`;
      await namespace(own);
      await plug(port, { name: `${name}p${number}`, namespace: own, address });
      const host = hostIn(own, address, async is => {
        await ip('-n', name, 'link', 'set', port, is === 'pulled' ? 'down' : 'up');
      });
      disposing.use(host);
      return host;
    },
    [Symbol.asyncDispose]: () => disposing.disposeAsync(),
  };
}

/** The first 10.253.N of which this machine knows nothing. */
async function freePrefix(): Promise<string> {
  const { stdout } = await run('ip', ['-o', 'addr']);
  const from = randomBytes(1).readUInt8();
  for (let step = 0; step < 256; step++) {
    const prefix = `10.253.${(from + step) % 256}`;
    if (!stdout.includes(`${prefix}.`)) return prefix;
  }
  throw new Error('no network is free');
}

function hostIn(namespace: string, address: string, cable: Host['cable']): Host {
  const data = mkdtempSync(join(tmpdir(), 'cupola-host-'));
  let supervisor: ChildProcess | null = null;
  // Its own network and nothing else: `ip netns exec` would hide the mounts of one start from the next.
  const argv = (args: string[]): [string, string[]] => [
    'nsenter',
    [`--net=/run/netns/${namespace}`, join(ROOT, 'cupola'), ...args, '--data', data],
  ];
  const cupola: Host['cupola'] = async args => (await run(...argv(args))).stdout;
  const processes = (): number[] =>
    readdirSync('/proc')
      .filter(name => /^\d+$/.test(name) && Number(name) !== process.pid)
      .map(Number)
      .filter(pid => isOf(pid, data));
  const powerOff = (): void => {
    supervisor = null;
    for (const pid of processes())
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has just ended.
      }
  };
  return {
    address,
    data,
    cupola,
    cable,
    powerOff,
    join: async (to, token, flags = []) => {
      const started = spawn(
        ...argv([
          'join',
          ...[to].flat(),
          ...(token === null ? [] : ['--token', token]),
          '--json',
          '--no-install',
          ...flags,
        ]),
        {
          stdio: ['ignore', 'pipe', 'pipe'],
        },
      );
      supervisor = started;
      await new Promise<void>((resolve, reject) => {
        let said = '';
        started.stdout.on('data', () => resolve());
        started.stderr.on('data', chunk => {
          said += chunk;
        });
        started.on('exit', code => reject(new Error(`join ended with ${code}: ${said}`)));
        started.on('error', reject);
      });
    },
    pidOf: part =>
      until(`${part} runs`, async () => {
        const { parts } = await askSupervisor<{ parts: Array<{ name: string; pid: number | null }> }>(data);
        return parts.find(({ name }) => name === part)?.pid ?? null;
      }),
    [Symbol.asyncDispose]: async () => {
      if (supervisor !== null) await cupola(['down']).catch(() => undefined);
      powerOff();
      await until('its processes are gone', async () => processes().length === 0);
      rmSync(data, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** By its command line or environment: every process of a platform has its data folder in one of them. */
function isOf(pid: number, data: string): boolean {
  try {
    return `${readFileSync(`/proc/${pid}/cmdline`, 'utf8')} ${readFileSync(`/proc/${pid}/environ`, 'utf8')}`.includes(
      data,
    );
  } catch {
    return false; // It has ended.
  }
}
