/** TOML files of an app, read without believing anything about what is in them. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StagingFailedError } from '@cupola/model/errors';
import { sentence } from '@cupola/model/sentence';

export type Table = Readonly<Record<string, unknown>>;

/** The file as a table; an empty one where there is no such file. @throws StagingFailedError when it is no TOML. */
export async function readToml(app: string, file: string): Promise<Table> {
  const text = await readFile(join(app, file), 'utf8').catch(() => null);
  if (text === null) return {};
  const { parse } = await import('smol-toml');
  try {
    return parse(text);
  } catch (error) {
    const [where = ''] = (error as Error).message.split('\n');
    throw new StagingFailedError(
      'BuildpackCompileFailed',
      `${sentence(`${file} cannot be read: ${where}`)} Mend it and push again.`,
    );
  }
}

/** A table in a table; an empty one where there is none. */
export function tableIn(table: Table, name: string): Table {
  const value = table[name];
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Table) : {};
}

export function textIn(table: Table, name: string): string | null {
  const value = table[name];
  return typeof value === 'string' ? value : null;
}

export function textsIn(table: Table, name: string): string[] {
  const value = table[name];
  return Array.isArray(value) ? value.filter(item => typeof item === 'string') : [];
}
