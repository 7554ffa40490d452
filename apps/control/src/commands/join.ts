/** `join HOST:PORT --token T`: this machine becomes a member of a cluster, and stays one until Ctrl-C; `down` and `restart` speak to it as to a platform. */
import { randomUUID, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Address } from '@cupola/certificates/members/dial';
import { identityFrom, membersOf, writeIdentity } from '@cupola/certificates/members/identity';
import {
  callAs,
  JoinRefusedError,
  type JoinToken,
  joinCluster,
  readToken,
  renewed,
} from '@cupola/certificates/members/joining';
import { sentence } from '@cupola/model/sentence';
import { cellId } from '../cell-id.ts';
import { installMissing } from '../install.ts';
import { type MemberConfig, readMember, writeMember } from '../member-config.ts';
import { startMemberSupervisor } from '../member-supervisor.ts';
import { IDENTITY_FILE } from '../membership.ts';
import {
  addressOrRefuse,
  command,
  dataFolder,
  dockerHostOf,
  makeFolders,
  PlainError,
  portList,
  readConfig,
  segmentOf,
  type UpFlags,
} from '../platform-config.ts';
import { ownPrograms } from '../programs.ts';
import { askSupervisor } from './running.ts';

type MemberFlags = Pick<
  UpFlags,
  | 'address'
  | 'listen'
  | 'port'
  | 'httpsPort'
  | 'domain'
  | 'zone'
  | 'isolationSegment'
  | 'hostPorts'
  | 'allowUnsandboxed'
  | 'sandbox'
  | 'dockerHost'
> & { token?: string; tokenFile?: string };

export interface JoinFlags extends MemberFlags {
  data?: string;
  install: boolean;
  json?: boolean;
}

const identityFile = (data: string): string => join(data, 'cell', IDENTITY_FILE);
const DIAL_MS = 10_000;
/** A cell is ready within seconds of its first answer. */
const SLOW_MS = 10_000;

export async function joinCommand(texts: readonly string[], flags: JoinFlags): Promise<void> {
  const data = dataFolder(flags.data);
  const say = (text: string): void => console.error(`cupola: ${text}`);
  const config = await prepareMember(data, texts, flags);
  if (flags.install) installMissing(say);

  const supervisor = await startMemberSupervisor({ data, config, programs: ownPrograms(), report: say });
  let stops = 0;
  const stop = (): void => {
    stops++;
    if (stops === 1) {
      say('stopping every instance here, then this machine’s parts (the cluster starts them elsewhere)');
      void supervisor.down();
    } else if (stops === 2) say('still stopping: apps have 10 s to end by themselves');
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  const slow = setTimeout(
    () =>
      say(
        `no API of the cluster has answered yet at ${texts.join(', ')}; it is tried again and again. What goes on: ${data}/log`,
      ),
    SLOW_MS,
  );
  const refused = await Promise.race([supervisor.ready(), supervisor.over, supervisor.refused]);
  clearTimeout(slow);
  if (typeof refused === 'string') {
    await supervisor.down();
    throw new PlainError(refused);
  }
  if (stops === 0) {
    if (flags.json === true) console.log(JSON.stringify(supervisor.status()));
    else
      console.log(
        [
          '',
          `  This machine is a member: ${config.roles.join(', ')} (${config.id})`,
          ...(config.roles.includes('router')
            ? [`  apps     http://NAME.${config.domain}:${supervisor.status().port}`]
            : []),
          `  Ctrl-C stops it and its instances; ${command(`join ${texts.join(' ')}`, data)} brings it back, without a token.`,
        ].join('\n'),
      );
  }
  await supervisor.over;
}

/** Joins if it has not yet, and remembers what was said. @throws PlainError */
export async function prepareMember(data: string, texts: readonly string[], flags: MemberFlags): Promise<MemberConfig> {
  const addresses = texts.map(text => addressOrRefuse(text));
  await refuseWhereNot(data);
  const token = givenToken(data, flags);
  makeFolders(data);
  await become(data, { addresses, token });
  await becomeRouter(data, { addresses, isNew: token !== null });
  const config = await remembered(data, addresses, flags);
  writeMember(data, config);
  return config;
}

async function refuseWhereNot(data: string): Promise<void> {
  if ((await askSupervisor(data, '/status')) !== null)
    throw new PlainError(
      `Something of Cupola runs already with the data folder ${data}. Stop it: ${command('down', data)}`,
    );
  if (readConfig(data) !== null)
    throw new PlainError(
      `${data} holds a platform of its own, and a machine is either that or a member. Choose another folder with --data.`,
    );
}

/**
 * A token in a file counts until this machine is a member whose certificate holds: containers and services begin with the same words each time. `-`: standard
 * input. Neither shows in the list of processes, as `--token` does. @throws PlainError
 */
function givenToken(data: string, { token, tokenFile }: MemberFlags): JoinToken | null {
  if (token !== undefined) return tokenOrRefuse(token);
  if (tokenFile === undefined || isMember(data)) return null;
  return tokenOrRefuse(readTokenFile(tokenFile));
}

function isMember(data: string): boolean {
  const file = identityFile(data);
  return existsSync(file) && Date.now() < new X509Certificate(readFileSync(file)).validToDate.getTime();
}

function readTokenFile(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8').trim();
  } catch (error) {
    throw new PlainError(
      `${sentence(`The token cannot be read. ${(error as Error).message}`)} Name its file: --token-file FILE.`,
    );
  }
}

function tokenOrRefuse(text: string): JoinToken {
  try {
    return readToken(text);
  } catch (error) {
    throw new PlainError(sentence((error as Error).message));
  }
}

/** Has an identity afterwards: that of a former time, or a new one by the token. @throws PlainError */
async function become(
  data: string,
  { addresses, token }: { addresses: readonly Address[]; token: JoinToken | null },
): Promise<void> {
  const folder = join(data, 'cell');
  const file = identityFile(data);
  if (token === null) {
    if (existsSync(file)) return;
    throw new PlainError(
      'This machine is no member yet, so a token is needed. On a machine of the cluster: ./cupola cluster token',
    );
  }
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const failures: string[] = [];
  for (const address of addresses)
    try {
      writeIdentity(file, await joinCluster(address, { token, id: cellId(folder), hostName: hostname() }));
      return;
    } catch (error) {
      // Any other API of the cluster would say the same.
      if (error instanceof JoinRefusedError && error.status < 500)
        throw new PlainError(sentence(`The cluster did not take this machine. ${error.message}`));
      failures.push(`${address.host}:${address.port}: ${(error as Error).message}`);
    }
  const isAway = failures.some(failure => /ECONN|ETIMEDOUT|EHOST|ENETUNREACH|ENOTFOUND|did not answer/.test(failure));
  const advice = isAway
    ? ' Check the address, and that its port may be reached from here: the platform listens where --cluster-listen said.'
    : '';
  throw new PlainError(`${sentence(`The cluster did not take this machine. ${failures.join('; ')}`)}${advice}`);
}

/** What its router shows, where it has one: that it is a router, and nothing else that this machine may be. It renews that itself. @throws PlainError */
async function becomeRouter(
  data: string,
  { addresses, isNew }: { addresses: readonly Address[]; isNew: boolean },
): Promise<void> {
  const file = join(data, 'state', IDENTITY_FILE);
  const identity = identityFrom(identityFile(data));
  if (!membersOf(identity.current()).some(({ role }) => role === 'router')) return;
  if (existsSync(file) && !isNew) return;
  try {
    writeIdentity(file, await renewed(callAs({ addresses, identity }), ['router']));
  } catch (error) {
    throw new PlainError(
      `${sentence(`The cluster gave this machine's router no certificate. ${(error as Error).message}`)} Run the same again once an API answers.`,
    );
  }
}

async function remembered(data: string, addresses: readonly Address[], flags: MemberFlags): Promise<MemberConfig> {
  const known = readMember(data);
  const members = membersOf(identityFrom(identityFile(data)).current());
  return {
    version: 1,
    id: cellId(join(data, 'cell')),
    installation: known?.installation ?? randomUUID(),
    addresses: [...addresses],
    roles: members.map(({ role }) => role).filter(role => role !== 'api'),
    host: flags.address ?? known?.host ?? (await addressTowards(addresses)),
    listen: flags.listen ?? known?.listen ?? '0.0.0.0',
    forwardPort: known?.forwardPort ?? 0,
    port: flags.port ?? known?.port ?? 8080,
    httpsPort: flags.httpsPort ?? known?.httpsPort ?? 8443,
    zone: flags.zone ?? known?.zone ?? 'z1',
    segment: segmentOf(flags, known?.segment ?? null),
    domain: flags.domain ?? known?.domain ?? 'localhost',
    hostPorts: flags.hostPorts === undefined ? (known?.hostPorts ?? []) : portList(flags.hostPorts),
    allowUnsandboxed: flags.allowUnsandboxed ?? known?.allowUnsandboxed ?? false,
    dockerHost: dockerHostOf(flags, known?.dockerHost ?? null),
  };
}

/** Under which this machine reaches the cluster: the others most likely reach it under the same. */
async function addressTowards(addresses: readonly Address[]): Promise<string> {
  for (const address of addresses) {
    const found = await new Promise<string | null>(resolve => {
      const socket = connect({ ...address, timeout: DIAL_MS });
      const end = (own: string | null): void => {
        socket.destroy();
        resolve(own);
      };
      socket.once('connect', () => end(socket.localAddress ?? null));
      socket.once('timeout', () => end(null));
      socket.once('error', () => end(null));
    });
    if (found !== null) return found;
  }
  throw new PlainError('No API of the cluster answers. Check the addresses, and that they may be reached from here.');
}
