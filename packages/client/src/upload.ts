/** `POST /v3/packages/GUID/upload`, or `upload_changes` where it starts from an earlier package: the matched files' list, then the zip of the rest, as multipart with a known length, read from disk as it is sent. */
import { randomBytes } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { type ReadPackage, type ResourceMatch, readPackage } from '@cupola/contract/v3/client-reads';
import type { BaseOfChanges } from '@cupola/contract/v3/package';
import type { CloudClient } from './cloud-client.ts';
import { UnreachableError } from './errors.ts';

export interface Upload {
  readonly packageGuid: string;
  /** Whose files stay, but for some; null, as for every server but Cupola: none. */
  readonly base?: BaseOfChanges | null;
  /** Files that the server has already. */
  readonly matched: readonly ResourceMatch[];
  /** Zip with all others; null when there are none. */
  readonly zipFile: string | null;
  progress?(sentBytes: number, totalBytes: number): void;
}

/** A broken connection is no answer: the same package takes the same bytes again (cf tries three times too). */
const TRIES = 3;
const RETRY_PAUSE_MS = 500;
const UPLOAD_TIMEOUT_MS = 900_000;

export async function uploadPackage(client: CloudClient, upload: Upload): Promise<ReadPackage> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await uploadOnce(client, upload);
    } catch (error) {
      if (!(error instanceof UnreachableError) || attempt === TRIES) throw error;
      await pause(RETRY_PAUSE_MS * attempt);
    }
  }
}

function uploadOnce(
  client: CloudClient,
  { packageGuid, base = null, matched, zipFile, progress }: Upload,
): Promise<ReadPackage> {
  const boundary = `cupola-${randomBytes(16).toString('hex')}`;
  const field = (name: string, value: unknown): string =>
    `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${JSON.stringify(value)}\r\n`;
  const resources = (base === null ? '' : field('base', base)) + field('resources', matched);
  const bitsHead = `--${boundary}\r\nContent-Disposition: form-data; name="bits"; filename="package.zip"\r\nContent-Type: application/octet-stream\r\n\r\n`;
  const end = `--${boundary}--\r\n`;
  const head = Buffer.from(zipFile === null ? resources : resources + bitsHead);
  const tail = Buffer.from(zipFile === null ? end : `\r\n${end}`);
  const zipBytes = zipFile === null ? 0 : statSync(zipFile).size;
  const total = head.length + zipBytes + tail.length;

  async function* parts(): AsyncGenerator<Buffer> {
    yield head;
    if (zipFile !== null) {
      let sent = 0;
      for await (const chunk of createReadStream(zipFile, { highWaterMark: 256 * 1024 }) as AsyncIterable<Buffer>) {
        yield chunk;
        sent += chunk.length;
        progress?.(sent, zipBytes);
      }
    }
    yield tail;
  }
  return client.read(readPackage, {
    method: 'POST',
    path: `/v3/packages/${packageGuid}/${base === null ? 'upload' : 'upload_changes'}`,
    isRepeatable: true,
    raw: {
      contentType: `multipart/form-data; boundary=${boundary}`,
      contentLength: total,
      body: () => Readable.from(parts(), { objectMode: false }),
    },
    timeoutMs: UPLOAD_TIMEOUT_MS,
  });
}
