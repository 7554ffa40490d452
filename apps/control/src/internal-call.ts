/** Asks the API's internal listener on this machine, which only the platform's owner reaches. */
import http from 'node:http';
import { join } from 'node:path';
import { sentence } from '@cupola/model/sentence';
import { command, PlainError } from './platform-config.ts';

export interface InternalAnswer {
  status: number;
  /** Undefined: it has no body. */
  json: unknown;
}

const TIMEOUT_MS = 5_000;

/** @throws PlainError when no platform runs with that data folder. */
export function internalCall(
  data: string,
  method: 'GET' | 'POST',
  path: string,
  body?: unknown,
): Promise<InternalAnswer> {
  return new Promise((resolve, reject) => {
    const request = http.request(
      {
        socketPath: join(data, 'state', 'internal.sock'),
        path,
        method,
        timeout: TIMEOUT_MS,
        headers: { 'content-type': 'application/json' },
      },
      response => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('error', reject);
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, json: text === '' ? undefined : (JSON.parse(text) as unknown) }),
        );
      },
    );
    request.on('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'ENOENT' || error.code === 'ECONNREFUSED'
          ? new PlainError(`No platform runs with the data folder ${data}. Start it: ${command('up', data)}`)
          : error,
      ),
    );
    request.on('timeout', () =>
      request.destroy(new PlainError(`The platform in ${data} does not answer. Its parts write to ${data}/log.`)),
    );
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** The answer's JSON. @throws PlainError with what the API says, unless it is a success. */
export async function internalResult(...call: Parameters<typeof internalCall>): Promise<unknown> {
  const { status, json } = await internalCall(...call);
  if (status < 300) return json;
  const { errors } = (json ?? {}) as { errors?: Array<{ detail?: string }> };
  throw new PlainError(sentence(errors?.[0]?.detail ?? `The platform answered ${status}`));
}

/** Null while the API is away or being restarted. */
export async function internalGet(data: string, path: string): Promise<unknown> {
  const answer = await internalCall(data, 'GET', path).catch(() => null);
  return answer?.status === 200 ? answer.json : null;
}
