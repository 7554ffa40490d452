/** `Staticfile`: the settings of CF's staticfile buildpack that our server knows. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { StagingFailedError } from '@cupola/model/errors';

/** What the server is told, as JSON beside it. */
export interface SiteSettings {
  hostDotFiles: boolean;
  directoryIndex: boolean;
  pushState: boolean;
  forceHttps: boolean;
  /** `Strict-Transport-Security`; null: none. */
  strictTransport: string | null;
  /** Status -> page, as a path below the root: `404` -> `/404.html`. */
  statusPages: Record<string, string>;
}

export interface Staticfile {
  /** The site's files, below the app; `.` is the app itself. */
  root: string;
  settings: SiteSettings;
  /** Asked for, but not known here. */
  ignored: string[];
}

const KNOWN = ['root', 'host_dot_files', 'directory', 'pushstate', 'force_https', 'status_codes'];
const STRICT = 'http_strict_transport_security';

/** Defaults when the app has none. @throws StagingFailedError when it cannot be read. */
export async function readStaticfile(app: string): Promise<Staticfile> {
  const text = await readFile(join(app, 'Staticfile'), 'utf8').catch(() => '');
  const fields = await parse(text);
  const isOn = (name: string): boolean => ['enabled', 'true'].includes(String(fields[name] ?? ''));
  const strict = [
    'max-age=31536000',
    ...(isOn(`${STRICT}_include_subdomains`) ? ['includeSubDomains'] : []),
    ...(isOn(`${STRICT}_preload`) ? ['preload'] : []),
  ].join('; ');
  const root = String(fields.root ?? '.').trim() || '.';
  await checkRoot(app, root);
  return {
    root,
    settings: {
      hostDotFiles: isOn('host_dot_files'),
      directoryIndex: fields.directory !== undefined && fields.directory !== null && String(fields.directory) !== '',
      pushState: isOn('pushstate'),
      forceHttps: isOn('force_https'),
      strictTransport: isOn(STRICT) ? strict : null,
      statusPages: statusPages(fields.status_codes),
    },
    ignored: Object.keys(fields).filter(name => !KNOWN.includes(name) && !name.startsWith(STRICT)),
  };
}

async function parse(text: string): Promise<Record<string, unknown>> {
  if (text.trim() === '') return {};
  const { parse: parseYaml } = await import('yaml');
  try {
    const document: unknown = parseYaml(text, { maxAliasCount: 0 });
    if (document === null) return {};
    if (typeof document === 'object' && !Array.isArray(document)) return document as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw new StagingFailedError(
    'BuildpackCompileFailed',
    'Unable to load Staticfile: invalid YAML. Write lines such as "root: public" or "pushstate: enabled".',
  );
}

async function checkRoot(app: string, root: string): Promise<void> {
  const refuse = (why: string): StagingFailedError =>
    new StagingFailedError(
      'BuildpackCompileFailed',
      `the application Staticfile specifies a root directory ${root} that ${why}`,
    );
  if (root.split('/').includes('..') || root.startsWith('/')) throw refuse('lies outside the app');
  const found = await stat(join(app, root)).catch(() => null);
  if (found === null) throw refuse('does not exist');
  if (!found.isDirectory()) throw refuse('is a plain file, but was expected to be a directory');
}

/** `4xx` and `5xx` stand for every status of their hundred. */
function statusPages(codes: unknown): Record<string, string> {
  if (typeof codes !== 'object' || codes === null) return {};
  return Object.fromEntries(
    Object.entries(codes).flatMap(([statuses, page]) =>
      typeof page === 'string'
        ? statuses.split(/\s+/).map(status => [status.toLowerCase(), page.startsWith('/') ? page : `/${page}`])
        : [],
    ),
  );
}
