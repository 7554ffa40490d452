/**
 * Fetches an image from a registry, by OCI's distribution spec: manifest, then layers, each checked against its digest. Asks without a login first, then with
 * the token that the registry's answer tells how to get; `docker login` has left the user's name in Docker's own settings.
 */
import { createHash } from 'node:crypto';
import { createWriteStream, existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { checkDigest, chooseImage, type Descriptor, type ImageLayers, manifestOrIndex } from './layout.ts';

export interface Reference {
  host: string;
  name: string;
  /** A tag, or `sha256:...`. */
  reference: string;
}

/** `HOST[:PORT]/NAME[:TAG|@DIGEST]`; null for what names no registry: there is no registry that everyone means. */
export function parseReference(text: string): Reference | null {
  const match =
    /^(?<host>[a-z0-9.-]+(?::\d+)?)\/(?<name>[a-z0-9]+(?:[._/-][a-z0-9]+)*)(?:@(?<digest>sha256:[0-9a-f]{64})|:(?<tag>[\w][\w.-]{0,127}))?$/i.exec(
      text,
    );
  const { host = '', name = '', digest, tag } = match?.groups ?? {};
  if (match === null || !(/[.:]/.test(host) || host === 'localhost')) return null;
  return { host, name, reference: digest ?? tag ?? 'latest' };
}

const ACCEPT = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');
/** Of a manifest or an index: they name blobs, and hold none. */
const MANIFEST_MAX_BYTES = 4 * 1024 * 1024;
const tokenAnswer = z.object({ token: z.string().optional(), access_token: z.string().optional() });

/** Layers lie in `folder` afterwards. `say`: a line for each step. @throws Error that names the registry and what it said. */
export async function pullImage(
  wanted: Reference,
  { folder, say }: { folder: string; say(text: string): void },
): Promise<ImageLayers> {
  const get = client(wanted);
  let { body, digest } = await manifestOf(get, wanted.reference);
  while ('manifests' in body) ({ body, digest } = await manifestOf(get, chooseImage(body.manifests).digest));
  const files: string[] = [];
  for (const layer of body.layers) {
    const file = join(folder, `${files.length}-${layer.digest.slice('sha256:'.length)}`);
    say(`fetching layer ${files.length + 1} of ${body.layers.length} (${Math.ceil(layer.size / 1_048_576)} MB)`);
    await fetchBlob(get, layer, file);
    files.push(file);
  }
  return { digest, files };
}

type Get = (path: string) => Promise<Response>;

async function manifestOf(get: Get, reference: string) {
  const answer = await get(`manifests/${reference}`);
  const bytes = Buffer.from(await answer.arrayBuffer());
  if (bytes.length > MANIFEST_MAX_BYTES) throw new Error('its manifest is too large to be one');
  const digest = createHash('sha256').update(bytes).digest('hex');
  if (reference.startsWith('sha256:') && reference !== `sha256:${digest}`)
    throw new Error(`the manifest ${reference} came with other bytes`);
  return { body: manifestOrIndex.parse(JSON.parse(bytes.toString('utf8'))), digest };
}

async function fetchBlob(get: Get, { digest }: Descriptor, file: string): Promise<void> {
  const answer = await get(`blobs/${digest}`);
  if (answer.body === null) throw new Error(`${digest} came without bytes`);
  await pipeline(Readable.fromWeb(answer.body), createWriteStream(file, { mode: 0o600 }));
  await checkDigest(file, digest);
}

function client({ host, name }: Reference): Get {
  // As Docker: plain HTTP on this machine only.
  const scheme = /^(localhost|127\.0\.0\.1|\[::1\])(:|$)/.test(host) ? 'http' : 'https';
  let authorization: string | null = null;
  return async path => {
    const url = `${scheme}://${host}/v2/${name}/${path}`;
    const ask = (): Promise<Response> =>
      fetch(url, { headers: { accept: ACCEPT, ...(authorization === null ? {} : { authorization }) } }).catch(
        (error: Error) => {
          throw new Error(`${host} cannot be reached: ${String(error.cause ?? error.message)}`);
        },
      );
    let answer = await ask();
    if (answer.status === 401) {
      authorization = await authorize(host, name, answer.headers.get('www-authenticate') ?? '');
      if (authorization !== null) answer = await ask();
    }
    if (answer.status === 401 || answer.status === 403)
      throw new Error(
        `${host} does not give ${name} to everyone: log in with \`docker login ${host}\`, then try again`,
      );
    if (!answer.ok) throw new Error(`${host} answered ${answer.status} for ${name} (${path})`);
    return answer;
  };
}

/** As the challenge says (RFC 6750, and Docker's token spec); null where we know no way. */
async function authorize(host: string, name: string, challenge: string): Promise<string | null> {
  const login = knownLogin(host);
  if (/^basic/i.test(challenge)) return login;
  const field = (key: string): string | undefined => new RegExp(`${key}="([^"]*)"`, 'i').exec(challenge)?.[1];
  const realm = field('realm');
  if (!/^bearer/i.test(challenge) || realm === undefined) return null;
  const url = new URL(realm);
  url.searchParams.set('service', field('service') ?? host);
  url.searchParams.set('scope', field('scope') ?? `repository:${name}:pull`);
  const answer = await fetch(url, { headers: login === null ? {} : { authorization: login } });
  if (!answer.ok) return null;
  const { token, access_token: other } = tokenAnswer.parse(await answer.json());
  return token === undefined && other === undefined ? null : `Bearer ${token ?? other}`;
}

/** What `docker login` has kept for that host, where it keeps it itself. */
function knownLogin(host: string): string | null {
  const file = join(process.env.DOCKER_CONFIG ?? join(homedir(), '.docker'), 'config.json');
  if (!existsSync(file)) return null;
  const { auths } = z
    .object({ auths: z.record(z.string(), z.object({ auth: z.string().optional() })).default({}) })
    .parse(JSON.parse(readFileSync(file, 'utf8')));
  const known = auths[host]?.auth ?? auths[`https://${host}`]?.auth;
  return known === undefined || known === '' ? null : `Basic ${known}`;
}
