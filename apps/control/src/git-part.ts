/** The part `git`: receives pushes, while there are any. It has a folder and a uid of its own, and nothing of the platform's but the API's address. */
import { join } from 'node:path';
import { start } from '@cupola/git/start';
import { pino } from 'pino';
import { z } from 'zod';
import { runPart } from './part-process.ts';

const environment = z.object({
  CUPOLA_STATE: z.string().min(1),
  CUPOLA_PUBLIC_URL: z.url(),
  CUPOLA_API_VIA: z.url(),
  CUPOLA_GIT_SECRET: z.string().min(1),
  CUPOLA_GIT_HOSTS: z.string().default(''),
  CUPOLA_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
});

export async function runGit(): Promise<void> {
  const env = environment.parse(process.env);
  const log = pino({ name: 'git', level: env.CUPOLA_LOG_LEVEL });
  await runPart(log, async () => {
    const part = await start({
      folder: env.CUPOLA_STATE,
      api: { url: env.CUPOLA_PUBLIC_URL, via: env.CUPOLA_API_VIA, skipSslValidation: false },
      listen: { path: join(env.CUPOLA_STATE, 'git.sock') },
      hosts: env.CUPOLA_GIT_HOSTS,
      // Reached where the supervisor has opened a port for it.
      ssh: { listen: { path: join(env.CUPOLA_STATE, 'ssh.sock') }, secret: env.CUPOLA_GIT_SECRET },
      log,
    });
    return { facts: {}, [Symbol.asyncDispose]: () => part[Symbol.asyncDispose]() };
  });
}
