/** The three parts of a platform on one machine, each with its command line and environment. */
import { join } from 'node:path';
import { SUPERVISOR } from '@cupola/model/limits';
import { cellId } from './cell-id.ts';
import { rememberPart } from './left-parts.ts';
import { type Part, type PartCommand, startPart } from './part.ts';
import { openPartLog } from './part-log.ts';
import { type OnDemand, startOnDemand } from './part-on-demand.ts';
import { GIT_UID, PlainError, type PlatformConfig, publicUrl, stacksFolder } from './platform-config.ts';
import { giveState, inheritedEnvironment, platformCommand } from './platform-user.ts';
import { MALLOC_ENVIRONMENT, NODE_FLAGS, type Programs, programFile } from './programs.ts';

interface Options {
  data: string;
  /** With the ports that were bound. */
  config: PlatformConfig;
  /** From which a part is started next: `restart` may bring others. */
  programs(): Programs;
  admin: { password: string; reset: boolean };
  /** By which the API knows git's part. */
  gitSecret: string;
  appsFd: number;
  apiFd: number;
  secureFd: number;
  /** Both or neither: of a platform that is a cluster's. */
  clusterFd: number | null;
  forwardFds: [forward: number, gate: number] | null;
  report(text: string): void;
  /** A part cannot be started here, and says why. */
  refused(text: string): void;
}

/** How a part of this platform is started, and started again. */
function starter({ data, report, refused }: Pick<Options, 'data' | 'report' | 'refused'>) {
  return (name: string, command: () => PartCommand): Part =>
    startPart(name, command, {
      now: () => performance.now(),
      log: openPartLog(join(data, 'log', `${name}.log`)),
      report,
      refused,
      born: (part, pid) => rememberPart(data, part, pid),
      // Where a test kills each part many times, most of its time would be this wait.
      backoffMaxMs: Number(process.env.CUPOLA_PART_BACKOFF_MAX_MS ?? SUPERVISOR.backoffMaxMs),
    });
}

/** git's part, which runs while somebody pushes. @throws PlainError when the port of SSH is taken. */
export async function startGitOnDemand(
  options: Pick<Options, 'data' | 'config' | 'programs' | 'report' | 'refused' | 'gitSecret'>,
): Promise<OnDemand> {
  const { data, config, programs, gitSecret } = options;
  const uid = config.platformUid === null ? null : GIT_UID;
  giveState(join(data, 'git'), uid);
  const command = (): PartCommand =>
    platformCommand({
      ...{ data, uid, folder: 'git', readsStacks: false, programs: programs() },
      program: 'control',
      args: ['part', 'git'],
      environment: {
        NODE_ENV: 'production',
        ...MALLOC_ENVIRONMENT,
        CUPOLA_PUBLIC_URL: publicUrl(config),
        CUPOLA_GIT_SECRET: gitSecret,
        CUPOLA_GIT_HOSTS: process.env.CUPOLA_GIT_HOSTS ?? '',
        CUPOLA_API_VIA: `http://${reachable(config.listen)}:${config.apiPort}`,
      },
      passFds: [],
    });
  return startOnDemand({
    name: 'git',
    doors: [
      { path: join(data, 'state', 'git.sock'), uid: config.platformUid, socketPath: join(data, 'git', 'git.sock') },
      ...(config.sshPort === null
        ? []
        : [{ host: config.listen, port: config.sshPort, socketPath: join(data, 'git', 'ssh.sock') }]),
    ],
    start: () => starter(options)('git', command),
  }).catch((error: NodeJS.ErrnoException) => {
    throw new PlainError(
      `Port ${config.sshPort} of SSH cannot be used (${error.code}). Choose another with --ssh-port.`,
    );
  });
}

/** Where a program of this machine dials what listens there. */
function dialled(address: string): string {
  if (address === '0.0.0.0') return '127.0.0.1';
  return address === '::' ? '::1' : address;
}

/** As the host of a URL. */
function reachable(address: string): string {
  const host = dialled(address);
  return host.includes(':') ? `[${host}]` : host;
}

export function startParts(options: Options): { control: Part; cell: Part; router: Part } {
  const { data, config, programs, admin, clusterFd, forwardFds } = options;
  const start = starter(options);
  const common = commonEnvironment(data, config);
  const own = { uid: config.platformUid, folder: 'state', readsStacks: true };
  const secret = {
    CUPOLA_ADMIN_PASSWORD: admin.password,
    CUPOLA_ADMIN_PASSWORD_RESET: admin.reset ? '1' : '0',
  };
  /** With passwords: for the part that holds the store, and no other. */
  const engines = { CUPOLA_REDIS_URL: process.env.CUPOLA_REDIS_URL ?? '' };
  const control = start('control', () =>
    platformCommand({
      ...own,
      data,
      programs: programs(),
      program: 'control',
      args: ['part', 'control'],
      environment: {
        ...common,
        ...secret,
        ...engines,
        CUPOLA_API_FD: '4',
        CUPOLA_HTTPS_PORT: String(config.httpsPort),
        CUPOLA_HTTPS_HOST: dialled(config.listen),
        CUPOLA_CERTIFICATES: config.tls !== null ? 'given' : config.acme !== null ? 'acme' : 'own',
        CUPOLA_GIT_SECRET: options.gitSecret,
        CUPOLA_GIT_SSH_PORT: config.sshPort === null ? '' : String(config.sshPort),
        ...(clusterFd === null ? {} : { CUPOLA_CLUSTER_FD: '5' }),
      },
      passFds: [options.apiFd, ...(clusterFd === null ? [] : [clusterFd])],
    }),
  );
  const cell = start('cell', () => ({
    argv: [process.execPath, ...NODE_FLAGS, join(programs().root, programFile(programs(), 'control')), 'part', 'cell'],
    cwd: data,
    environment: {
      ...inheritedEnvironment(),
      ...common,
      CUPOLA_STATE: join(data, 'state'),
      CUPOLA_CELL: join(data, 'cell'),
      CUPOLA_HOST_PORTS: config.hostPorts.join(','),
      CUPOLA_DOCKER_HOST: config.dockerHost ?? '',
      CUPOLA_ZONE: config.zone,
      CUPOLA_SEGMENT: config.segment ?? '',
      ...(forwardFds === null
        ? {}
        : { CUPOLA_FORWARD_FD: '4', CUPOLA_GATE_FD: '5', CUPOLA_FORWARD_HOST: config.cluster?.host ?? '' }),
    },
    passFds: forwardFds ?? [],
  }));
  const router = start('router', () =>
    platformCommand({
      ...own,
      data,
      programs: programs(),
      program: 'router',
      args: [],
      environment: {
        ...common,
        ...acmeEnvironment(config),
        CUPOLA_ROUTER_LISTEN_FD: '4',
        CUPOLA_ROUTER_TLS_LISTEN_FD: '5',
        ...(clusterFd === null ? {} : { CUPOLA_ROUTER_CELL: cellId(join(data, 'cell')) }),
      },
      passFds: [options.appsFd, options.secureFd],
    }),
  );
  return { control, cell, router };
}

/** Empty where no certificates are ordered. */
function acmeEnvironment({ acme }: PlatformConfig): Record<string, string> {
  if (acme === null) return {};
  return {
    CUPOLA_ACME_EMAIL: acme.email,
    ...(acme.directory === null ? {} : { CUPOLA_ACME_DIRECTORY: acme.directory }),
    CUPOLA_ACME_CA: process.env.CUPOLA_ACME_CA ?? '',
  };
}

/** What every part reads of the platform. */
function commonEnvironment(data: string, config: PlatformConfig): Record<string, string> {
  return {
    NODE_ENV: 'production',
    ...MALLOC_ENVIRONMENT,
    CUPOLA_PUBLIC_URL: publicUrl(config),
    CUPOLA_DOMAIN: config.domain,
    CUPOLA_STACKS: stacksFolder(data),
    CUPOLA_PORT: String(config.port),
    CUPOLA_LISTEN: config.listen,
    CUPOLA_INSTALLATION: config.installation,
    CUPOLA_DRAIN_TARGETS: process.env.CUPOLA_DRAIN_TARGETS ?? '',
    CUPOLA_REGISTRIES: process.env.CUPOLA_REGISTRIES ?? '',
    ...(process.env.CUPOLA_DASHBOARD ? { CUPOLA_DASHBOARD: process.env.CUPOLA_DASHBOARD } : {}),
    CUPOLA_ALLOW_UNSANDBOXED: config.allowUnsandboxed ? '1' : '0',
  };
}
