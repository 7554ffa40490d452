import http from 'node:http';
import { join } from 'node:path';

export interface InstanceLine {
  app: string;
  process: string;
  index: number;
  state: string;
  crashes: number;
  since: number;
}

/** Asks the API's internal listener, which only the platform's owner reaches. Empty while the API is being restarted. */
export async function listInstances(data: string): Promise<InstanceLine[]> {
  return new Promise(resolve => {
    const request = http.get(
      { socketPath: join(data, 'state', 'internal.sock'), path: '/internal/instances', timeout: 5_000 },
      response => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () =>
          resolve(response.statusCode === 200 ? (JSON.parse(text) as { instances: InstanceLine[] }).instances : []),
        );
      },
    );
    request.on('error', () => resolve([]));
    request.on('timeout', () => request.destroy());
  });
}
