/** `./cupola program git`: git's part as a program of its own, for a cluster. Embedded, apps/control starts it when somebody pushes. */
import { commonSettings, runProgram } from '@cupola/process/run';
import { listenAddress } from '@cupola/process/settings';
import { z } from 'zod';
import { start } from './start.ts';

const settings = z.object({
  ...commonSettings,
  /** Of the API, as users reach it. */
  CUPOLA_PUBLIC_URL: z.url('write the URL that users reach the API under, for example https://api.example.com'),
  /** Where it is asked, if not there: `http://api:8081`. */
  CUPOLA_API_URL: z.url('write the address of an API, for example http://api:8081').exactOptional(),
  /** `1`: any certificate of CUPOLA_PUBLIC_URL is taken. */
  CUPOLA_SKIP_SSL_VALIDATION: z.enum(['0', '1']).default('0'),
  /** A folder of this program's own, on a volume; what is lost of it is pushed again. */
  CUPOLA_GIT_FOLDER: z.string().startsWith('/', 'write an absolute folder'),
  /** Where users reach it over SSH; without it, and the secret that the APIs have too, they do not. */
  CUPOLA_SSH_LISTEN: listenAddress.exactOptional(),
  CUPOLA_GIT_SECRET: z.string().min(32, 'write 32 characters or more that nobody can guess').exactOptional(),
  /** Forges in private networks, or by plain HTTP: `git.internal,http://10.0.0.5:3000`. */
  CUPOLA_GIT_HOSTS: z.string().default(''),
  /** Where the APIs reach it (their CUPOLA_GIT_URL). */
  CUPOLA_LISTEN: listenAddress,
});

await runProgram('git', settings, async (env, log) => {
  const { CUPOLA_SSH_LISTEN: sshListen, CUPOLA_GIT_SECRET: secret } = env;
  const part = await start({
    folder: env.CUPOLA_GIT_FOLDER,
    api: {
      url: env.CUPOLA_PUBLIC_URL.replace(/\/$/, ''),
      via: env.CUPOLA_API_URL ?? null,
      skipSslValidation: env.CUPOLA_SKIP_SSL_VALIDATION === '1',
    },
    listen: env.CUPOLA_LISTEN,
    hosts: env.CUPOLA_GIT_HOSTS,
    ssh: sshListen === undefined || secret === undefined ? null : { listen: sshListen, secret },
    log,
  });
  return { ready: { address: part.address }, [Symbol.asyncDispose]: () => part[Symbol.asyncDispose]() };
});
