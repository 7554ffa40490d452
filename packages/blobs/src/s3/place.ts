/** Where blobs lie on S3, as an operator writes it. */
export interface S3Place {
  bucket: string;
  /** Of every key; empty or ending in `/`. */
  prefix: string;
  /** Null: Amazon's own, of the region. */
  endpoint: string | null;
  /** Of the same server, for those that have no credentials: machines that run apps may know it under another name. Null: `endpoint`. */
  membersEndpoint: string | null;
  region: string;
  /** Null: as the SDK finds them (environment, `~/.aws`, the machine's role). */
  credentials: { accessKeyId: string; secretAccessKey: string } | null;
  isPathStyle: boolean;
  hasChecksums: boolean;
}

const FORM =
  'the place of blobs has the form s3://[KEY:SECRET@]BUCKET[/PREFIX]?endpoint=https://HOST&region=REGION[&members=https://HOST][&style=path|virtual][&checksums=on|off]';

/**
 * `members`: the server's address for machines that run apps, where that is another one. `style`: `path` (the bucket in the path, the default with an endpoint) or `virtual` (in the host's name). `checksums=off`: for servers that refuse the
 * SDK's. KEY and SECRET percent-encoded; without them the SDK's own ways are used.
 * @throws TypeError that shows the form.
 */
export function parseS3Url(text: string, environment: Record<string, string | undefined> = process.env): S3Place {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || url.protocol !== 's3:' || url.hostname === '') throw new TypeError(FORM);
  const options = url.searchParams;
  const known = ['endpoint', 'members', 'region', 'style', 'checksums'];
  const unknown = [...options.keys()].find(name => !known.includes(name));
  if (unknown !== undefined) throw new TypeError(`"${unknown}" is no option of it: ${FORM}`);
  const endpoint = addressOf(options, 'endpoint');
  const prefix = url.pathname.replace(/^\/+|\/+$/g, '');
  return {
    bucket: url.hostname,
    prefix: prefix === '' ? '' : `${prefix}/`,
    endpoint,
    membersEndpoint: addressOf(options, 'members'),
    region: options.get('region') ?? environment.AWS_REGION ?? 'us-east-1',
    credentials:
      url.username === ''
        ? null
        : { accessKeyId: decodeURIComponent(url.username), secretAccessKey: decodeURIComponent(url.password) },
    isPathStyle: oneOf(options, 'style', ['path', 'virtual'], endpoint === null ? 'virtual' : 'path') === 'path',
    hasChecksums: oneOf(options, 'checksums', ['on', 'off'], 'on') === 'on',
  };
}

function addressOf(options: URLSearchParams, name: string): string | null {
  const address = options.get(name);
  if (address !== null && !/^https?:\/\//.test(address)) throw new TypeError(`${name} is an http(s) address: ${FORM}`);
  return address;
}

function oneOf(options: URLSearchParams, name: string, values: readonly string[], otherwise: string): string {
  const value = options.get(name) ?? otherwise;
  if (!values.includes(value)) throw new TypeError(`${name} is one of ${values.join(', ')}: ${FORM}`);
  return value;
}
