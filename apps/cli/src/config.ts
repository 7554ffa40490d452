/**
 * What the CLI remembers between commands, in one file that only its owner may read: `$CUPOLA_HOME/config.json`, else `~/.cupola-cli/config.json`. The real
 * cf's own settings (`CF_*`, ~/.cf) are neither read nor touched. Written whole and renamed; changes of two commands at once follow one another by a lock.
 */
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { TokenStore } from '@cupola/client/cloud-client';
import { usageError } from '@cupola/push/failures';
import { z } from 'zod';

const named = z.object({ guid: z.string(), name: z.string() });
const schema = z.object({
  version: z.literal(1),
  endpoints: z
    .object({
      api: z.string(),
      login: z.string(),
      uaa: z.string(),
      logCache: z.string().nullable(),
      apiVersion: z.string(),
      appsScheme: z.enum(['http', 'https']),
      appsPort: z.number().int().nullable(),
    })
    .nullable(),
  skipSslValidation: z.boolean(),
  tokens: z.object({ access: z.string(), refresh: z.string().nullable() }).nullable(),
  organization: named.nullable(),
  space: named.nullable(),
});
export type CliConfig = z.infer<typeof schema>;

export interface ConfigFile {
  read(): CliConfig;
  /** Applies a change to what is in the file at that moment. */
  change(change: (config: CliConfig) => CliConfig): Promise<void>;
  readonly tokens: TokenStore;
}

const EMPTY: CliConfig = {
  version: 1,
  endpoints: null,
  skipSslValidation: false,
  tokens: null,
  organization: null,
  space: null,
};
const LOCK_POLL_MS = 20;
/** Nobody holds the lock longer: a refresh is one request. What is older was left by a command that was killed. */
const LOCK_STALE_MS = 30_000;

/** The folder for `environment`, made when something is first written. */
export function configFolder(environment: Readonly<Record<string, string | undefined>>): string {
  return environment.CUPOLA_HOME || join(homedir(), '.cupola-cli');
}

export function openConfig(folder: string): ConfigFile {
  const file = join(folder, 'config.json');
  const read = (): CliConfig => {
    let text: string;
    try {
      text = readFileSync(file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return EMPTY;
      throw usageError(
        `${file} cannot be read: ${(error as Error).message}`,
        'Make it yours, or choose another folder with CUPOLA_HOME.',
      );
    }
    try {
      return schema.parse(JSON.parse(text));
    } catch {
      throw usageError(`${file} is damaged`, `Remove it and log in again: rm ${file}`);
    }
  };
  const write = (config: CliConfig): void => {
    const temporary = `${file}.${process.pid}`;
    writeFileSync(temporary, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
    chmodSync(temporary, 0o600); // A file of that name may have been left with another mode.
    renameSync(temporary, file);
  };
  const alone = async <T>(act: () => Promise<T>): Promise<T> => {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const unlock = await lock(join(folder, 'config.lock'));
    try {
      return await act();
    } finally {
      unlock();
    }
  };
  return {
    read,
    change: change => alone(async () => write(change(read()))),
    tokens: {
      load: () => read().tokens,
      update: change =>
        alone(async () => {
          const config = read();
          const tokens = await change(config.tokens);
          if (tokens !== config.tokens) write({ ...config, tokens });
          return tokens;
        }),
    },
  };
}

/** Waits for the lock file; takes over one that was left behind. Returns how to unlock. */
async function lock(file: string): Promise<() => void> {
  for (;;) {
    try {
      const fd = openSync(file, 'wx', 0o600);
      writeSync(fd, String(process.pid));
      closeSync(fd);
      return () => rmSync(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      if (isLeft(file)) rmSync(file, { force: true });
      else await pause(LOCK_POLL_MS);
    }
  }
}

function isLeft(file: string): boolean {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    if (Date.now() - statSync(file).mtimeMs > LOCK_STALE_MS) return true;
    if (pid > 0) process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
