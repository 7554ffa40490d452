/** The platform that this user has started on this machine, with the usual data folder: read from what `cupola up` has written there. */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';

const config = z.object({ apiPort: z.number().int().positive() });

/** Null: there is none. Whether it runs is not looked at. */
export function ownPlatform(): { readonly api: string; readonly passwordFile: string } | null {
  const folder = join(homedir(), '.cupola');
  const passwordFile = join(folder, 'admin-password');
  try {
    const { apiPort } = config.parse(JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')));
    return existsSync(passwordFile) ? { api: `http://localhost:${apiPort}`, passwordFile } : null;
  } catch {
    return null; // Never started, or another kind of folder.
  }
}
