/** `user reset-password NAME`: for the operator on the platform's machine, when nobody knows a password any more. */
import { internalCall } from '../internal-call.ts';
import { adminPassword, dataFolder, makePassword, PlainError } from '../platform-config.ts';

interface Flags {
  data?: string;
  json?: boolean;
  passwordStdin?: boolean;
}

export async function resetPassword(username: string, flags: Flags): Promise<void> {
  const data = dataFolder(flags.data);
  const password = flags.passwordStdin === true ? await readStdin() : makePassword();
  const { status, json } = await internalCall(data, 'POST', '/internal/users/password', { username, password });
  if (status === 404)
    throw new PlainError(`There is no user ${username} with a password. cupola users, after a login, lists them.`);
  if (status !== 204) throw new PlainError(`The platform answered ${status}: ${JSON.stringify(json)}`);
  // The file is where `up` prints the login line from.
  if (username === 'admin') adminPassword(data, password);
  if (flags.json) return console.log(JSON.stringify({ username, password }));
  console.log(
    flags.passwordStdin === true
      ? `${username} has the new password, and every former login of theirs is over.`
      : `${username} has a new password, and every former login of theirs is over: ${password}`,
  );
}

async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) chunks.push(chunk);
  const password = Buffer.concat(chunks)
    .toString()
    .replace(/\r?\n$/, '');
  if (password === '') throw new PlainError('There was no password on stdin.');
  return password;
}
