import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { PlainError } from './platform-config.ts';
import { ownPrograms, programFile } from './programs.ts';

export interface Pushed {
  name: string;
  url?: string;
}

interface Options {
  data: string;
  /** Absolute. */
  folder: string;
  api: string;
  password: string;
  json: boolean;
}

/** Pushes a folder with our own CLI, as a user would, logged in as admin in a CLI home of the platform's own. Throws PlainError when the push fails. */
export async function pushFolder({ data, folder, api, password, json }: Options): Promise<Pushed> {
  if (!existsSync(folder)) throw new PlainError(`There is no folder ${folder} to push. The platform runs at ${api}.`);
  const programs = ownPrograms();
  const home = join(data, 'cli');
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const run = (args: string[], output: 'inherit' | 'ignore', extra: Record<string, string> = {}): Promise<number> =>
    new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [join(programs.root, programFile(programs, 'cli')), ...args], {
        cwd: folder,
        env: { ...process.env, CUPOLA_HOME: home, ...extra },
        stdio: ['ignore', json ? 'ignore' : output, 'inherit'],
      });
      child.once('error', reject);
      child.once('exit', code => resolve(code ?? 1));
    });
  const login = await run(['login', '-a', api, '-u', 'admin', '-o', 'cupola', '-s', 'dev'], 'ignore', {
    CUPOLA_PASSWORD: password,
  });
  if (login !== 0)
    throw new PlainError(
      `The platform runs at ${api}, but the login as admin failed. Was its password changed? ./cupola up --admin-password sets a new one.`,
    );
  const result = join(home, 'push.json');
  rmSync(result, { force: true });
  const hasManifest = existsSync(join(folder, 'manifest.yml')) || existsSync(join(folder, 'manifest.yaml'));
  const code = await run(['push', ...(hasManifest ? [] : [nameOf(folder)]), '--result-file', result], 'inherit');
  if (code !== 0) throw new PlainError(`The platform runs at ${api}, but pushing ${folder} failed (see above).`);
  return existsSync(result) ? (JSON.parse(readFileSync(result, 'utf8')) as Pushed) : { name: nameOf(folder) };
}

function nameOf(folder: string): string {
  return basename(folder)
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-');
}
