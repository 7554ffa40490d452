/** `user reset-password NAME`: for the operator on the platform's machine, when nobody knows a password any more. */
import http from 'node:http';
import { join } from 'node:path';
import { adminPassword, dataFolder, makePassword, PlainError } from '../platform-config.ts';

interface Flags {
  data?: string;
  json?: boolean;
  passwordStdin?: boolean;
}

export async function resetPassword(username: string, flags: Flags): Promise<void> {
  const data = dataFolder(flags.data);
  const password = flags.passwordStdin === true ? await readStdin() : makePassword();
  const { status, text } = await post(data, { username, password });
  if (status === 404)
    throw new PlainError(`There is no user ${username} with a password. cupola users, after a login, lists them.`);
  if (status !== 204) throw new PlainError(`The platform answered ${status}: ${text}`);
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

/** By the API's internal listener, which only the platform's owner reaches. */
function post(data: string, body: unknown): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = http.request(
      {
        socketPath: join(data, 'state', 'internal.sock'),
        path: '/internal/users/password',
        method: 'POST',
        headers: { 'content-type': 'application/json' },
      },
      response => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      },
    );
    request.on('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'ENOENT' || error.code === 'ECONNREFUSED'
          ? new PlainError(`No platform runs with the data folder ${data}. Start it: ./cupola up`)
          : error,
      ),
    );
    request.end(JSON.stringify(body));
  });
}
