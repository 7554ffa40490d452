/**
 * Settings of a program: environment variables, each of which may lie in a file instead (`CUPOLA_DATABASE_URL_FILE` names it: secrets are files in compose and
 * Kubernetes). Read once, at the start; what is wrong is said all at once, in words.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';

/** What is wrong with the settings, a line each, for whoever started the program. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

/** @throws SettingsError */
export function readSettings<Schema extends z.ZodObject>(
  schema: Schema,
  environment: Readonly<Record<string, string | undefined>>,
): z.output<Schema> {
  const given: Record<string, string> = {};
  const wrong: string[] = [];
  for (const name of Object.keys(schema.shape)) {
    const [value, file] = [environment[name], environment[`${name}_FILE`]];
    if (value !== undefined && file !== undefined)
      wrong.push(`${name} and ${name}_FILE are both set: keep one of them`);
    else if (value !== undefined) given[name] = value;
    else if (file !== undefined)
      try {
        given[name] = readFileSync(file, 'utf8').trim();
      } catch (error) {
        wrong.push(`${name}_FILE: ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`);
      }
  }
  const parsed = schema.safeParse(given);
  for (const { path, message } of parsed.error?.issues ?? []) {
    const name = String(path[0]);
    if (!wrong.some(line => line.startsWith(name)))
      wrong.push(given[name] === undefined ? `${name} is not set (or ${name}_FILE)` : `${name}: ${message}`);
  }
  if (wrong.length > 0 || !parsed.success) throw new SettingsError(wrong.join('\n'));
  return parsed.data;
}

/** `host:port` to listen on; port 0 is a free one. */
export const listenAddress = z
  .string()
  .regex(/^(\[[0-9a-fA-F:.]+\]|[^\s:/]+):\d{1,5}$/, 'write HOST:PORT, for example 0.0.0.0:8081')
  .transform(text => {
    const colon = text.lastIndexOf(':');
    return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
  });

/** Of PostgreSQL. */
export const databaseUrl = z.string().regex(/^postgres(ql)?:\/\//, 'write postgres://USER:PASSWORD@HOST/DATABASE');
