/** What an app says about its pages: `.bp-config/options.json` of CF's buildpack, or the folders that frameworks use. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, normalize } from 'node:path';

export interface PhpSettings {
  /** Folder with the pages, below the app's; null: not said. */
  webFolder: string | null;
}

/** Folders that are taken for the pages', as CF's and Heroku's users have them. */
const USUAL = ['htdocs', 'public', 'web', 'public_html'];

export async function readPhpSettings(app: string): Promise<PhpSettings> {
  const text = await readFile(join(app, '.bp-config/options.json'), 'utf8').catch(() => '{}');
  let options: { WEBDIR?: unknown } = {};
  try {
    options = JSON.parse(text) as { WEBDIR?: unknown };
  } catch {
    return { webFolder: null }; // Settings that cannot be read say nothing.
  }
  const { WEBDIR } = options ?? {};
  return { webFolder: typeof WEBDIR === 'string' && isBelow(WEBDIR) ? normalize(WEBDIR) : null };
}

const isBelow = (path: string): boolean => path !== '' && !path.startsWith('/') && !normalize(path).startsWith('..');

/** Relative to the app's folder; '.' is that itself. */
export function webFolder(app: string, settings: PhpSettings): string {
  if (settings.webFolder !== null) return settings.webFolder;
  return USUAL.find(folder => existsSync(join(app, folder))) ?? '.';
}
