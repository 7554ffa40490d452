/** A failed command of the build in one sentence that says what to do. Its own lines stand in the log above. */
import { statfs } from 'node:fs/promises';
import { StagingFailedError } from '@cupola/model/errors';
import { sentence } from '@cupola/model/sentence';
import { CommandFailedError } from './buildpack.ts';

/** Of a word taken from a program's output into our sentence. */
const WORD_MAX = 200;

/** What stands in the output -> what to do. The first that fits is said; `$1` is what the first group that took part matched. */
export type Hint = readonly [pattern: RegExp, advice: string];

/** Of every language. */
const COMMON_HINTS: readonly Hint[] = [
  [
    /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ECONNRESET|ENETUNREACH|Temporary failure in name resolution|Network is unreachable|network is unreachable|no such host|Connection refused|connection refused|Could not resolve host|CERTIFICATE_VERIFY_FAILED|certificate signed by unknown authority/,
    "the registry could not be reached from the build: check this machine's network and the registry and proxy settings of its own tools",
  ],
  [/ENOSPC|no space left on device/i, 'the disk of the build is full'],
  [/(\S+): command not found/, '"$1" is not on this machine'],
];

/** Rethrows a failed command as the app's failure, with the hint that fits; everything else as it is. */
export async function explaining<T>(app: string, hints: readonly Hint[], work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CommandFailedError)) throw error;
    const command = error.argv.slice(0, 3).join(' ');
    const ended = error.signal === null ? `exit status ${error.code}` : `ended by ${error.signal}`;
    throw new StagingFailedError(
      'BuildpackCompileFailed',
      sentence(`"${command}" failed (${ended}): ${await hint(app, hints, error)}`),
    );
  }
}

async function hint(app: string, hints: readonly Hint[], { output, wasKilled }: CommandFailedError): Promise<string> {
  const { bavail, blocks } = await statfs(app);
  if (blocks > 0 && bavail / blocks < 0.001) return 'the disk of the build is full';
  if (wasKilled) return 'it was killed, most likely since the build ran out of memory';
  for (const [pattern, advice] of [...hints, ...COMMON_HINTS]) {
    const found = pattern.exec(output);
    if (found !== null) {
      const [word = ''] = found.slice(1).filter(group => group !== undefined);
      return advice.replaceAll('$1', word.slice(0, WORD_MAX));
    }
  }
  return 'its own words are in the log above';
}
