/** Asks the API's internal listener, which only the platform's owner reaches. */
import http from 'node:http';
import { join } from 'node:path';

/** Null while the API is away or being restarted. */
export async function internalGet(data: string, path: string): Promise<unknown> {
  return new Promise(resolve => {
    const request = http.get({ socketPath: join(data, 'state', 'internal.sock'), path, timeout: 5_000 }, response => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve(response.statusCode === 200 ? (JSON.parse(text) as unknown) : null));
    });
    request.on('error', () => resolve(null));
    request.on('timeout', () => request.destroy());
  });
}
