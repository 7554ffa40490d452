/** What `docker login` has kept for a registry, where Docker keeps it itself (and not in a helper of the desktop's). */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { Login } from './repository.ts';

const settings = z.object({
  auths: z.record(z.string(), z.object({ auth: z.string().optional() })).default({}),
});

export function dockerLogin(host: string): Login | null {
  const file = join(process.env.DOCKER_CONFIG ?? join(homedir(), '.docker'), 'config.json');
  if (!existsSync(file)) return null;
  const { auths } = settings.parse(JSON.parse(readFileSync(file, 'utf8')));
  const known = auths[host]?.auth ?? auths[`https://${host}`]?.auth ?? '';
  const [username = '', ...rest] = Buffer.from(known, 'base64').toString('utf8').split(':');
  return username === '' ? null : { username, password: rest.join(':') };
}
