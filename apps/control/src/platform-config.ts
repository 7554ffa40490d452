/**
 * What one platform is: its data folder and the settings remembered there, so that `up` without flags brings back the same platform at the same addresses.
 *
 *     DATA/config.json       settings and the resolved ports (0644)
 *     DATA/admin-password    made at first start (0600)
 *     DATA/run/              sockets of this run, lock of the supervisor
 *     DATA/state/            store, blobs, logs, keys, certificates (tls/), router table: owned by the platform's own uid when started as root
 *     DATA/cell/             the agent's: instances, layers, build folders (0700)
 *     DATA/git/              pushes by git and their repositories, a cache: owned by a uid of git's own when started as root
 *     DATA/log/              what the parts wrote, one file each, rotated
 */
import { randomInt, randomUUID } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  lchownSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir, networkInterfaces } from 'node:os';
import { join, resolve } from 'node:path';
import { type Address, parseAddress } from '@cupola/certificates/members/dial';
import { sentence } from '@cupola/model/sentence';
import { z } from 'zod';

/** Sun_path holds 108 bytes, and the longest socket is `run/supervisor.sock`. */
const DATA_PATH_MAX = 80;
/** Of HTTPS, where the user names none; taken by another program, a free one is used instead. */
export const HTTPS_PORT = 8_443;
/** Uid of api, scheduler and router when started as root: in the range that Debian allocates on demand only, and below 65,536 so that it exists in a container's uid map too. */
const PLATFORM_UID = 64_000;

/** Whom parts run as that need not be root; null: as whoever starts us. */
export const platformUid = (): number | null => (process.getuid?.() === 0 ? PLATFORM_UID : null);

/** Uid of the part that runs git: what it receives is strangers', and the state folder is not its. */
export const GIT_UID = 64_001;

const schema = z.object({
  version: z.literal(1),
  installation: z.string(),
  listen: z.string(),
  port: z.number().int(),
  apiPort: z.number().int(),
  httpsPort: z.number().int().default(HTTPS_PORT),
  /** The operator's own certificate, PEM files; null: the platform's CA signs. */
  tls: z.object({ certFile: z.string(), keyFile: z.string() }).nullable().default(null),
  /** By whom an ACME authority is asked for certificates, and which (null: Let's Encrypt); null: none is. */
  acme: z.object({ email: z.string(), directory: z.string().nullable() }).nullable().default(null),
  domain: z.string(),
  /** Where git is spoken over SSH; null: nowhere. */
  sshPort: z.number().int().nullable().default(null),
  /** Where machines that have joined call, and under which name this machine is reached by them; null: there are none. */
  cluster: z.object({ listen: z.string(), port: z.number().int(), host: z.string() }).nullable().default(null),
  /** For placement: copies of an app spread over zones first. */
  zone: z.string().default('z1'),
  /** Isolation segment of this machine; null: it is everybody's. */
  segment: z.string().nullable().default(null),
  /** TCP ports of this machine that security groups may open. */
  hostPorts: z.array(z.number().int().min(1).max(65_535)).default([]),
  /** Null when an ordinary user started it: then all parts are theirs. */
  platformUid: z.number().int().nullable(),
  ownerUid: z.number().int(),
  allowUnsandboxed: z.boolean(),
  /** Address of the Docker engine that apps and builds run in; null: the strongest sandbox of this machine's own. */
  dockerHost: z.string().nullable().default(null),
});
export type PlatformConfig = z.infer<typeof schema>;

/** Flags of `up`; what is undefined is remembered, or the default. */
export interface UpFlags {
  data?: string | undefined;
  port?: number | undefined;
  apiPort?: number | undefined;
  httpsPort?: number | undefined;
  /** Both or neither; `none` as file goes back to the own CA. */
  tlsCert?: string | undefined;
  tlsKey?: string | undefined;
  /** Orders certificates from an ACME authority; `none` stops that. */
  acmeEmail?: string | undefined;
  acmeDirectory?: string | undefined;
  /** A port, or `none`. */
  sshPort?: string | undefined;
  listen?: string | undefined;
  domain?: string | undefined;
  /** `HOST:PORT`, or `none`. */
  clusterListen?: string | undefined;
  /** Under which other machines of the cluster reach this one. */
  address?: string | undefined;
  zone?: string | undefined;
  /** `none`: no more. */
  isolationSegment?: string | undefined;
  /** All of them, `5432,6379`; `none`. */
  hostPorts?: string | undefined;
  adminPassword?: string | undefined;
  allowUnsandboxed?: boolean | undefined;
  /** `auto` or `docker`. */
  sandbox?: string | undefined;
  dockerHost?: string | undefined;
}

/** An error whose message is all that the user needs: printed without a stack, exit code 1. */
export class PlainError extends Error {
  override readonly name = 'PlainError';
}

/** Absolute data folder: `--data`, else `~/.cupola`. */
export function dataFolder(flag: string | undefined): string {
  const folder = resolve(flag ?? join(homedir(), '.cupola'));
  if (Buffer.byteLength(folder) > DATA_PATH_MAX)
    throw new PlainError(
      `The data folder's path is longer than ${DATA_PATH_MAX} bytes, too long for the sockets in it: ${folder}. Choose a shorter one with --data.`,
    );
  return folder;
}

/** `./cupola down`, with `--data` where that platform's folder is not the default one: as the user is to type it. */
export function command(name: string, data: string): string {
  return data === dataFolder(undefined) ? `./cupola ${name}` : `./cupola ${name} --data ${data}`;
}

/** Root filesystems that were added beside the machine's own; everybody's to read. */
export const stacksFolder = (data: string): string => join(data, 'stacks');

/** Null when no platform was ever started there. */
export function readConfig(data: string): PlatformConfig | null {
  const file = join(data, 'config.json');
  if (!existsSync(file)) return null;
  const parsed = schema.safeParse(JSON.parse(readFileSync(file, 'utf8')));
  if (!parsed.success)
    throw new PlainError(
      `${sentence(`${file} cannot be read: ${z.prettifyError(parsed.error)}`)} Mend or remove that file; apps and users lie elsewhere.`,
    );
  return parsed.data;
}

/** Written whole and durable: a kill leaves the old file or the new one. */
export function writeDurable(file: string, text: string, mode: number): void {
  const temporary = `${file}.new`;
  const fd = openSync(temporary, 'w', mode);
  writeFileSync(fd, text);
  fsyncSync(fd);
  closeSync(fd);
  renameSync(temporary, file);
}

/** A file that a command has made in the state folder: the part that reads it runs under the platform's own uid. */
export function giveToOwner(state: string, name: string): void {
  const { uid, gid } = statSync(state);
  lchownSync(join(state, name), uid, gid);
}

export function writeConfig(data: string, config: PlatformConfig): void {
  writeDurable(join(data, 'config.json'), `${JSON.stringify(config, null, 2)}\n`, 0o644);
}

/** Remembered settings, flags over them; refuses a data folder of another user. */
export function resolveConfig(data: string, flags: UpFlags): PlatformConfig {
  const uid = process.getuid?.() ?? 0;
  const known = readConfig(data);
  if (known !== null && known.ownerUid !== uid)
    throw new PlainError(
      `${data} belongs to a platform that uid ${known.ownerUid} started, and you are uid ${uid}. Run as that user, or choose another folder with --data.`,
    );
  if (flags.domain !== undefined && !/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(flags.domain))
    throw new PlainError(
      `"${flags.domain}" is not a domain name. Use lower-case letters, digits, dots and hyphens: --domain apps.example.com`,
    );
  return {
    version: 1,
    installation: known?.installation ?? randomUUID(),
    listen: flags.listen ?? known?.listen ?? '127.0.0.1',
    port: flags.port ?? known?.port ?? 8080,
    apiPort: flags.apiPort ?? known?.apiPort ?? 8081,
    // Who lets the apps' port be chosen runs more than one platform: the fixed one would be another's.
    httpsPort: flags.httpsPort ?? known?.httpsPort ?? (flags.port === 0 ? 0 : HTTPS_PORT),
    tls: givenTls(flags) ?? (flags.tlsCert === undefined ? (known?.tls ?? null) : null),
    acme: acmeOf(flags, known?.acme ?? null),
    domain: flags.domain ?? known?.domain ?? 'localhost',
    sshPort: sshPortOf(flags, known?.sshPort ?? null),
    cluster: clusterOf(flags, known?.cluster ?? null),
    zone: flags.zone ?? known?.zone ?? 'z1',
    segment: segmentOf(flags, known?.segment ?? null),
    hostPorts: flags.hostPorts === undefined ? (known?.hostPorts ?? []) : portList(flags.hostPorts),
    platformUid: platformUid(),
    ownerUid: uid,
    allowUnsandboxed: flags.allowUnsandboxed ?? known?.allowUnsandboxed ?? false,
    dockerHost: dockerHostOf(flags, known?.dockerHost ?? null),
  };
}

/** Where Debian's engine, and Docker's own, listen. */
const DOCKER_SOCKET = 'unix:///var/run/docker.sock';

export function segmentOf({ isolationSegment }: UpFlags, known: string | null): string | null {
  return isolationSegment === 'none' ? null : (isolationSegment ?? known);
}

/** Only where the operator has said so: whoever speaks to an engine is root on its machine. */
export function dockerHostOf({ sandbox, dockerHost }: UpFlags, known: string | null): string | null {
  if (sandbox !== undefined && sandbox !== 'auto' && sandbox !== 'docker')
    throw new PlainError(`"${sandbox}" is no sandbox to choose. Say --sandbox docker, or --sandbox auto.`);
  const isDocker = sandbox === undefined ? known !== null : sandbox === 'docker';
  if (!isDocker && dockerHost !== undefined)
    throw new PlainError('An engine is used where apps shall run in Docker: add --sandbox docker.');
  return isDocker ? (dockerHost ?? known ?? DOCKER_SOCKET) : null;
}

function sshPortOf({ sshPort }: UpFlags, known: number | null): number | null {
  if (sshPort === undefined) return known;
  if (sshPort === 'none') return null;
  const port = Number(sshPort);
  if (!/^\d+$/.test(sshPort) || port > 65_535)
    throw new PlainError(`"${sshPort}" is no port. Write it so: --ssh-port 2222, or --ssh-port none`);
  return port;
}

export function portList(text: string): number[] {
  if (text === 'none') return [];
  const ports = text.split(',').map(Number);
  if (!ports.every(port => Number.isInteger(port) && port > 0 && port <= 65_535))
    throw new PlainError(`"${text}" is no list of ports. Write them so: --host-ports 5432,6379, or --host-ports none`);
  return [...new Set(ports)];
}

function clusterOf({ clusterListen, address }: UpFlags, known: PlatformConfig['cluster']): PlatformConfig['cluster'] {
  if (clusterListen === 'none') return null;
  if (clusterListen === undefined) return known === null ? null : { ...known, host: address ?? known.host };
  const { host: listen, port } = addressOrRefuse(clusterListen, 0);
  return { listen, port, host: address ?? (isAnyAddress(listen) ? ownAddress() : listen) };
}

/** @throws PlainError */
export function addressOrRefuse(text: string, leastPort = 1): Address {
  try {
    return parseAddress(text, leastPort);
  } catch (error) {
    throw new PlainError(sentence((error as Error).message));
  }
}

const isAnyAddress = (host: string): boolean => host === '0.0.0.0' || host === '::';

/** The first address of this machine that is not its own loopback: what others most likely reach it under. */
function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap(list => list ?? []);
  const found = all.find(({ internal, family }) => !internal && family === 'IPv4');
  if (found === undefined)
    throw new PlainError('This machine has no address that others could reach it under. Name one: --address 10.0.0.5');
  return found.address;
}

function acmeOf({ acmeEmail, acmeDirectory }: UpFlags, known: PlatformConfig['acme']): PlatformConfig['acme'] {
  if (acmeEmail === 'none') return null;
  const email = acmeEmail ?? known?.email;
  if (email === undefined) {
    if (acmeDirectory === undefined) return null;
    throw new PlainError('Who orders certificates must say who they are: --acme-email YOU@EXAMPLE.COM.');
  }
  return { email, directory: acmeDirectory ?? known?.directory ?? null };
}

function givenTls({ tlsCert, tlsKey }: UpFlags): PlatformConfig['tls'] {
  if (tlsCert === 'none') return null;
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw new PlainError('A certificate and its key belong together: give both, --tls-cert FILE --tls-key FILE.');
  return tlsCert === undefined || tlsKey === undefined
    ? null
    : { certFile: resolve(tlsCert), keyFile: resolve(tlsKey) };
}

/** Makes the folders that the parts expect. Idempotent. */
export function makeFolders(data: string): void {
  mkdirSync(data, { recursive: true, mode: 0o755 });
  for (const [name, mode] of [
    ['run', 0o755],
    ['state', 0o700],
    ['state/tls', 0o700],
    ['cell', 0o700],
    ['git', 0o700],
    ['stacks', 0o755],
    ['log', 0o700],
  ] as const)
    mkdirSync(join(data, name), { recursive: true, mode });
  if (!statSync(data).isDirectory()) throw new PlainError(`${data} is not a folder.`);
}

/** Letters and digits only: a hyphen in front would be a flag to the commands it is typed into. 62^22 is 131 bits. */
export function makePassword(): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
  return Array.from({ length: 22 }, () => alphabet[randomInt(alphabet.length)]).join('');
}

/** The admin's password: made at first start, kept 0600. `--admin-password` replaces it. */
export function adminPassword(data: string, flag: string | undefined): string {
  const file = join(data, 'admin-password');
  if (flag === undefined && existsSync(file)) return readFileSync(file, 'utf8').trim();
  const password = flag ?? makePassword();
  writeDurable(file, `${password}\n`, 0o600);
  return password;
}

/** Where clients find the API. `localhost` resolves everywhere; its sub-names do in browsers and curl only. */
export function publicUrl(config: PlatformConfig): string {
  const host = config.domain === 'localhost' ? 'localhost' : `api.${config.domain}`;
  return `http://${host}:${config.apiPort}`;
}
