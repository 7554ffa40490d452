/** Procfile: a line for each process type, `web: node server.js`. Its commands go over those of the buildpack (CF: buildpackapplifecycle, runner.go). */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StagingFailedError } from '@cupola/model/errors';

/** CF's words for a Procfile that cannot be read. */
const UNREADABLE = 'Failed to read command from Procfile';
const LINE = /^([A-Za-z0-9_-]{1,255})\s*:\s+(\S.*)$/;
/** What begins a value that is more than plain text in YAML. */
const NOT_PLAIN = /^["'|>&*!{[]/;

/** Process types of the app's Procfile; empty when there is none. @throws StagingFailedError when it cannot be read. */
export async function readProcfile(app: string): Promise<Record<string, string>> {
  let text: string;
  try {
    text = await readFile(join(app, 'Procfile'), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new StagingFailedError('BuildpackReleaseFailed', `${UNREADABLE}: it is not a file.`);
  }
  return parseProcfile(text);
}

/**
 * Lines as people write them are taken as they stand, so that a colon or a hash in a command needs no quotes; whatever else YAML allows (quotes, blocks) is
 * read as YAML, as CF does.
 */
export async function parseProcfile(text: string): Promise<Record<string, string>> {
  const lines = text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .filter(line => line.trim() !== '' && !line.startsWith('#') && line.trim() !== '---');
  const found = lines.map(line => LINE.exec(line));
  if (found.every(match => match !== null && !NOT_PLAIN.test(match[2] ?? '')))
    return Object.fromEntries(found.map(match => [match?.[1] ?? '', (match?.[2] ?? '').trim()]));
  return parseAsYaml(text);
}

async function parseAsYaml(text: string): Promise<Record<string, string>> {
  const { parse } = await import('yaml');
  const refuse = (what: string): StagingFailedError =>
    new StagingFailedError(
      'BuildpackReleaseFailed',
      `${UNREADABLE}: ${what}. Write one line for each process type: "web: node server.js".`,
    );
  let document: unknown;
  try {
    document = parse(text, { maxAliasCount: 0 });
  } catch {
    throw refuse('invalid YAML');
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document)) throw refuse('invalid YAML');
  return Object.fromEntries(
    Object.entries(document).map(([type, command]) => {
      if (typeof command !== 'string' && typeof command !== 'number' && typeof command !== 'boolean')
        throw refuse(`the command of "${type}" is no text`);
      return [type, String(command).trim()];
    }),
  );
}
