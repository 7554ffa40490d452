/** Questions, only ever on a terminal: a script must not hang. */
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { EXIT } from '@cupola/push/exit-codes';
import { usageError, WordedError } from '@cupola/push/failures';

/** Asks on stderr, so that stdout stays the command's result. */
export async function question(text: string): Promise<string> {
  return askOn(process.stderr, text);
}

/** Shows the question, not the answer. */
export async function secret(text: string): Promise<string> {
  process.stderr.write(text);
  const answer = await askOn(new Writable({ write: (_chunk, _encoding, done) => done() }), '');
  process.stderr.write('\n');
  return answer;
}

async function askOn(output: NodeJS.WritableStream, text: string): Promise<string> {
  const lines = createInterface({ input: process.stdin, output, terminal: true });
  const interrupted = Promise.withResolvers<never>();
  lines.on('SIGINT', () => interrupted.reject(new WordedError('Interrupted.', { exitCode: EXIT.interrupted })));
  try {
    return await Promise.race([lines.question(text), interrupted.promise]);
  } finally {
    lines.close();
  }
}

/** All of stdin, without the newline at its end. */
export async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks)
    .toString()
    .replace(/\r?\n$/, '');
}

/** Whether it is to be done: as `force` says, else as the user does. Without a terminal it wants `force`. */
export async function confirm(
  { isTerminal }: { isTerminal: boolean },
  { force, what, command }: { force: boolean | undefined; what: string; command: string },
): Promise<boolean> {
  if (force === true) return true;
  if (!isTerminal) throw usageError(`${what} cannot be undone, and there is no terminal to ask.`, command);
  return /^y(es)?$/i.test((await question(`${what} cannot be undone. Go on? [y/N] `)).trim());
}
