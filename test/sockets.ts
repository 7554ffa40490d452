/**
 * What a machine's processes say on its unix sockets, as `cupola status` and `cupola cells` read it. What a test waits for is looked at many times, and each
 * of those commands is a process of 0.15 s CPU: a wait would take a core from what it waits for.
 */
import http from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

/** The answer's JSON. @throws when nobody listens, or the answer is no success. */
async function ask(socketPath: string, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const asked = http.get({ socketPath, path, timeout: 60_000 }, response => {
      text(response).then(body => {
        if (response.statusCode === 200) resolve(JSON.parse(body) as unknown);
        else reject(new Error(`${path}: ${response.statusCode} ${body}`));
      }, reject);
    });
    asked.on('timeout', () => asked.destroy(new Error(`${path} is not answered`)));
    asked.on('error', reject);
  });
}

/** Of the supervisor with that data folder. */
export const askSupervisor = <T>(data: string): Promise<T> =>
  ask(join(data, 'run', 'supervisor.sock'), '/status') as Promise<T>;

/** Of an API: by its data folder (embedded), or by its internal socket. */
export const askApi = <T>(place: { data: string } | { socketPath: string }, path: string): Promise<T> =>
  ask('data' in place ? join(place.data, 'state', 'internal.sock') : place.socketPath, path) as Promise<T>;
