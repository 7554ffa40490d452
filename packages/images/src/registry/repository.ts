/**
 * One repository of a registry, by OCI's distribution spec: manifests and blobs, each checked against its digest. Asks without a login first, then with the
 * token that the registry's answer tells how to get (Docker's token spec), anew when one has run out.
 */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { type Descriptor, type Manifest, type ManifestOrIndex, manifestOrIndex } from '../rootfs/layout.ts';
import { type Asking, type AskOptions, ask } from './ask.ts';
import { RegistryError } from './errors.ts';
import type { Reference } from './reference.ts';

export interface Login {
  username: string;
  password: string;
}

export interface Repository {
  /** Scheme and host, without a slash. */
  readonly origin: string;
  manifest(reference: string): Promise<{ body: ManifestOrIndex; digest: string }>;
  /** The blob's bytes, all of them and no others, in `file`. */
  save(descriptor: Descriptor, file: string): Promise<void>;
  /** A blob that is no larger than a manifest may be: an image's configuration. */
  read(descriptor: Descriptor): Promise<Buffer>;
  /** Any call of it, with the login that it asks for. The caller judges the status. */
  call(
    path: string,
    options?: Pick<AskOptions, 'method' | 'body'> & { headers?: Record<string, string> },
  ): Promise<IncomingMessage>;
}

export interface RepositoryOptions extends Asking {
  login: Login | null;
  /** What it is to be allowed to do. */
  actions?: 'pull' | 'pull,push';
}

const MANIFEST_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];
/** Of a manifest or an index: they name blobs, and hold none. */
const MANIFEST_MAX_BYTES = 4 * 1024 * 1024;
const tokenAnswer = z.object({ token: z.string().optional(), access_token: z.string().optional() });

export function openRepository(
  { host, name }: Pick<Reference, 'host' | 'name'>,
  options: RepositoryOptions,
): Repository {
  const { policy, signal } = options;
  const origin = `${policy.mayBePlain(host) ? 'http' : 'https'}://${host}`;
  let authorization: string | null = null;
  const call: Repository['call'] = async (path, { headers = {}, ...rest } = {}) => {
    const url = new URL(path, `${origin}/v2/${name}/`);
    const once = (): Promise<IncomingMessage> =>
      ask(url, {
        policy,
        signal,
        ...rest,
        // An upload may go on elsewhere, where nobody knows this login.
        headers: { ...headers, ...(authorization === null || url.origin !== origin ? {} : { authorization }) },
      });
    const answer = await once();
    if (answer.statusCode !== 401) return answer;
    answer.destroy();
    authorization = await authorize({ host, name }, answer.headers['www-authenticate'] ?? '', options);
    return authorization === null ? answer : await once();
  };
  const get = async (path: string, headers?: Record<string, string>): Promise<IncomingMessage> => {
    const answer = await call(path, headers === undefined ? {} : { headers });
    if (answer.statusCode === 200) return answer;
    answer.destroy();
    throw refusal({ host, name }, path, { status: answer.statusCode ?? 0, login: options.login });
  };
  return {
    origin,
    call,
    manifest: async reference => {
      const bytes = await readAll(await get(`manifests/${reference}`, { accept: MANIFEST_TYPES.join(', ') }));
      const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
      if (reference.startsWith('sha256:') && reference !== digest)
        throw new RegistryError('unfit', `the manifest ${reference} came with other bytes`);
      return { body: parsed(bytes, manifestOrIndex, 'its manifest'), digest };
    },
    save: async (descriptor, file) => {
      const source = await get(`blobs/${descriptor.digest}`);
      await pipeline(source, checked(descriptor), createWriteStream(file, { mode: 0o600 }), { signal });
    },
    read: async descriptor => {
      const source = await get(`blobs/${descriptor.digest}`);
      return readAll(source.pipe(checked(descriptor)));
    },
  };
}

/** The manifest for this kind of machine, and its digest. @throws RegistryError; Error where there is none for it. */
export async function imageManifest(
  repository: Repository,
  reference: string,
  choose: (manifests: readonly Descriptor[]) => Descriptor,
): Promise<{ body: Manifest; digest: string }> {
  let { body, digest } = await repository.manifest(reference);
  // An index may name others; more than one in a row does nobody good.
  for (let depth = 0; 'manifests' in body && depth < 3; depth++)
    ({ body, digest } = await repository.manifest(choose(body.manifests).digest));
  if ('manifests' in body) throw new RegistryError('unfit', 'its index names indexes without an end');
  return { body, digest };
}

/** @throws RegistryError when the bytes are not of that shape. */
export function parsed<T>(bytes: Buffer, schema: z.ZodType<T>, what: string): T {
  try {
    return schema.parse(JSON.parse(bytes.toString('utf8')));
  } catch (error) {
    throw new RegistryError('unfit', `${what} is none of OCI's, nor of Docker's version 2`, { cause: error });
  }
}

async function readAll(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of source) {
    length += chunk.length;
    if (length > MANIFEST_MAX_BYTES) throw new RegistryError('unfit', 'its manifest is too large to be one');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Lets a blob's bytes through; ends with an error when they are more, fewer or others. */
function checked({ digest, size }: Pick<Descriptor, 'digest' | 'size'>): Transform {
  const hash = createHash('sha256');
  let got = 0;
  const wrong = (): RegistryError => new RegistryError('unfit', `${digest} has other bytes than its name says`);
  return new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      got += chunk.length;
      if (got > size) return done(wrong());
      hash.update(chunk);
      done(null, chunk);
    },
    flush: done => done(got === size && `sha256:${hash.digest('hex')}` === digest ? null : wrong()),
  });
}

function refusal(
  { host, name }: Pick<Reference, 'host' | 'name'>,
  path: string,
  { status, login }: { status: number; login: Login | null },
): RegistryError {
  if (status === 401 || status === 403)
    return new RegistryError(
      'login',
      login === null
        ? `${host} does not give ${name} to everyone, or has no such image`
        : `${host} does not give ${name} to ${login.username}: the password is wrong, or the user may not read it`,
    );
  if (status === 404) return new RegistryError('not-found', `${host} answered 404 for ${name} (${path})`);
  if (status === 429)
    return new RegistryError(
      'unreachable',
      `${host} has had enough questions for now (429): with a login it answers more`,
    );
  return new RegistryError('unreachable', `${host} answered ${status} for ${name} (${path})`);
}

/** As the challenge says (RFC 6750, and Docker's token spec); null where we know no way. */
async function authorize(
  { host, name }: Pick<Reference, 'host' | 'name'>,
  challenge: string,
  { login, policy, signal, actions = 'pull' }: RepositoryOptions,
): Promise<string | null> {
  const basic =
    login === null ? null : `Basic ${Buffer.from(`${login.username}:${login.password}`, 'utf8').toString('base64')}`;
  if (/^basic/i.test(challenge)) return basic;
  const field = (key: string): string | undefined => new RegExp(`${key}="([^"]*)"`, 'i').exec(challenge)?.[1];
  const url = URL.parse(field('realm') ?? '');
  if (!/^bearer/i.test(challenge) || url === null) return null;
  url.searchParams.set('service', field('service') ?? host);
  url.searchParams.set('scope', field('scope') ?? `repository:${name}:${actions}`);
  const answer = await ask(url, { policy, signal, headers: basic === null ? {} : { authorization: basic } });
  if (answer.statusCode !== 200) {
    answer.destroy();
    return null;
  }
  const { token, access_token: other } = parsed(await readAll(answer), tokenAnswer, "its token's answer");
  return token === undefined && other === undefined ? null : `Bearer ${token ?? other}`;
}
