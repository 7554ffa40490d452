/** Holds the parts of a machine that has joined a cluster: a cell (agent, stager), a router, or both. The API is elsewhere. */
import { join } from 'node:path';
import { writeAddress } from '@cupola/certificates/members/dial';
import { SUPERVISOR } from '@cupola/model/limits';
import { endLeftParts, rememberPart } from './left-parts.ts';
import { bindAgain, bindListener, type Listener } from './listener.ts';
import { type MemberConfig, writeMember } from './member-config.ts';
import { type Part, type PartCommand, startPart } from './part.ts';
import { openPartLog } from './part-log.ts';
import { platformUid, stacksFolder } from './platform-config.ts';
import { giveState, inheritedEnvironment, platformCommand } from './platform-user.ts';
import { MALLOC_ENVIRONMENT, NODE_FLAGS, type Programs, programFile } from './programs.ts';
import { lockData, type Supervisor, superviseParts } from './supervisor.ts';

interface Options {
  data: string;
  config: MemberConfig;
  programs: Programs;
  report(text: string): void;
}

/** Throws PlainError when a port is taken or another supervisor holds the data folder. */
export async function startMemberSupervisor({ data, config, programs: first, report }: Options): Promise<Supervisor> {
  const unlock = lockData(data);
  let bound: Bound;
  try {
    await endLeftParts(data);
    bound = bindFor(config);
  } catch (error) {
    unlock();
    throw error;
  }
  giveState(join(data, 'state'), platformUid());
  // The same from start to start: what routers know of this machine stays true.
  if (bound.forward !== null) writeMember(data, { ...config, forwardPort: bound.forward.port });
  let programs = first;
  const refused = Promise.withResolvers<string>();
  const start = (name: string, command: () => PartCommand): Part =>
    startPart(name, command, {
      now: () => performance.now(),
      log: openPartLog(join(data, 'log', `${name}.log`)),
      report,
      refused: refused.resolve,
      born: (part, pid) => rememberPart(data, part, pid),
      backoffMaxMs: Number(process.env.CUPOLA_PART_BACKOFF_MAX_MS ?? SUPERVISOR.backoffMaxMs),
    });
  const { forward, gate, apps, secure } = bound;
  const common = { data, config };
  return superviseParts({
    data,
    parts: {
      ...(forward === null || gate === null
        ? {}
        : { cell: start('cell', () => cellCommand({ ...common, programs }, [forward, gate])) }),
      ...(apps === null || secure === null
        ? {}
        : { router: start('router', () => routerCommand({ ...common, programs }, [apps, secure])) }),
    },
    refused: refused.promise,
    setPrograms: next => {
      if (next.root === programs.root) programs = next;
    },
    facts: {
      api: config.addresses.map(address => `https://${writeAddress(address)}`).join(' '),
      port: apps?.port ?? 0,
      apiPort: 0,
      httpsPort: secure?.port ?? 0,
      domain: config.domain,
      joined: config.roles,
      clusterPort: null,
      sshPort: null,
    },
    closing: Object.values(bound),
    unlock,
  });
}

interface Common {
  data: string;
  config: MemberConfig;
  programs: Programs;
}

function cellCommand({ data, config, programs }: Common, [forward, gate]: readonly [Listener, Listener]): PartCommand {
  const { roles, zone, segment, hostPorts, host, dockerHost } = config;
  const environment = {
    CUPOLA_CELL_ROLES: roles.join(','),
    CUPOLA_ZONE: zone,
    CUPOLA_SEGMENT: segment ?? '',
    CUPOLA_HOST_PORTS: hostPorts.join(','),
    CUPOLA_DOCKER_HOST: dockerHost ?? '',
    CUPOLA_FORWARD_FD: '4',
    CUPOLA_GATE_FD: '5',
    CUPOLA_FORWARD_HOST: host,
  };
  return {
    argv: [process.execPath, ...NODE_FLAGS, join(programs.root, programFile(programs, 'control')), 'part', 'cell'],
    cwd: data,
    environment: { ...inheritedEnvironment(), ...commonEnvironment(data, config), ...environment },
    passFds: [forward.fd, gate.fd],
  };
}

/** Under the platform's own uid, as a router alone (`join.ts`): it reads what strangers send. */
function routerCommand({ data, config, programs }: Common, [apps, secure]: readonly [Listener, Listener]): PartCommand {
  const environment = {
    ...commonEnvironment(data, config),
    CUPOLA_ROUTER_LISTEN_FD: '4',
    CUPOLA_ROUTER_TLS_LISTEN_FD: '5',
    ...(config.roles.includes('agent') ? { CUPOLA_ROUTER_CELL: config.id } : {}),
  };
  const passFds = [apps.fd, secure.fd];
  const own = { uid: platformUid(), folder: 'state', readsStacks: true };
  return platformCommand({ ...own, data, programs, program: 'router', args: [], environment, passFds });
}

interface Bound {
  forward: Listener | null;
  /** Where the agent hears what instances here send to those of other machines. */
  gate: Listener | null;
  apps: Listener | null;
  secure: Listener | null;
}

function bindFor({ roles, listen, forwardPort, port, httpsPort }: MemberConfig): Bound {
  const bound: Listener[] = [];
  const kept = (listener: Listener): Listener => {
    bound.push(listener);
    return listener;
  };
  const bind = (wanted: number, address = listen): Listener => kept(bindListener(address, wanted));
  try {
    const isRouter = roles.includes('router');
    const isCell = roles.some(role => role !== 'router');
    return {
      // Routers hear of another one when the agent registers.
      forward: isCell ? kept(bindAgain(listen, forwardPort)) : null,
      gate: isCell ? bind(0, '0.0.0.0') : null,
      apps: isRouter ? bind(port) : null,
      secure: isRouter ? bind(httpsPort) : null,
    };
  } catch (error) {
    for (const listener of bound) listener.close();
    throw error;
  }
}

function commonEnvironment(data: string, config: MemberConfig): Record<string, string> {
  return {
    NODE_ENV: 'production',
    ...MALLOC_ENVIRONMENT,
    CUPOLA_APIS: config.addresses
      .map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`)
      .join(','),
    CUPOLA_STATE: join(data, 'state'),
    CUPOLA_CELL: join(data, 'cell'),
    CUPOLA_STACKS: stacksFolder(data),
    CUPOLA_DOMAIN: config.domain,
    CUPOLA_INSTALLATION: config.installation,
    CUPOLA_ALLOW_UNSANDBOXED: config.allowUnsandboxed ? '1' : '0',
  };
}
