/** One bucket through the SDK: bounded waits, and errors that say which of two things is the matter: no such object, or no such server. */
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { BlobsUnavailableError } from '../errors.ts';
import type { S3Place } from './place.ts';

/** Ours: a server that is there takes a connection, and answers, in much less; a transfer that says nothing for so long is over. Together under a minute. */
const CONNECT_MS = 3_000;
const SILENCE_MS = 20_000;
const ATTEMPTS_MAX = 2;
/** Of a multipart upload: the least that S3 takes; 10,000 of them, its most, are 52 GB. Two are in memory at a time. */
const PART_BYTES = 5 * 1024 * 1024;
const PARTS_AT_ONCE = 2;
/** What a killed process has left of an upload is nobody's after this: one takes 900 s at most. */
const LEFT_MS = 86_400_000;

export interface StoredObject {
  key: string;
  sizeBytes: number;
  storedAtMs: number;
}

/** All @throw BlobsUnavailableError. */
export interface Bucket {
  /** Whole or not at all. What `body` throws passes through. */
  upload(key: string, body: Readable): Promise<void>;
  /** Null when there is none. */
  head(key: string): Promise<Omit<StoredObject, 'key'> | null>;
  /** Null when there is none. `range`: as in HTTP, `bytes=0-9`; one that begins behind the end has no bytes. */
  get(key: string, range?: string): Promise<Readable | 'empty' | null>;
  copy(from: string, to: string): Promise<void>;
  remove(key: string): Promise<void>;
  list(prefix: string): AsyncGenerator<StoredObject>;
  signedUrl(key: string, seconds: number): Promise<string>;
  /** Gives back the room of uploads that nobody goes on with. */
  abortLeft(prefix: string, nowMs: number): Promise<void>;
  close(): void;
}

export function openBucket(place: S3Place): Bucket {
  const { bucket: Bucket } = place;
  const client = openClient(place, place.endpoint);
  // It only computes, and opens no connection.
  const signer = place.membersEndpoint === null ? client : openClient(place, place.membersEndpoint);

  return {
    upload: async (Key, body) => {
      let bodyError: NodeJS.ErrnoException | null = null;
      body.once('error', (error: NodeJS.ErrnoException) => {
        // An upload that fails gives its body up.
        if (error.code !== 'ABORT_ERR') bodyError = error;
      });
      const upload = new Upload({
        client,
        params: { Bucket, Key, Body: body },
        partSize: PART_BYTES,
        queueSize: PARTS_AT_ONCE,
      });
      try {
        await upload.done();
      } catch (error) {
        body.destroy();
        throw bodyError ?? unavailable(error);
      }
    },
    head: async Key => {
      const found = await client.send(new HeadObjectCommand({ Bucket, Key })).catch(whenMissing);
      // The answer has no body that would say what is missing: a wrong bucket must not look like lost blobs.
      if (found === null) await client.send(new HeadBucketCommand({ Bucket })).catch(rethrow);
      return found && { sizeBytes: found.ContentLength ?? 0, storedAtMs: found.LastModified?.getTime() ?? 0 };
    },
    get: async (Key, Range) => {
      const command = new GetObjectCommand({ Bucket, Key, ...(Range === undefined ? {} : { Range }) });
      const found = await client.send(command).catch((error: unknown) => {
        if (statusOf(error) === 416) return 'empty' as const;
        return whenMissing(error);
      });
      return found === null || found === 'empty' ? found : (found.Body as Readable);
    },
    copy: async (from, Key) => {
      await client
        .send(new CopyObjectCommand({ Bucket, Key, CopySource: `${Bucket}/${encodeURI(from)}` }))
        .catch(rethrow);
    },
    remove: async Key => {
      await client.send(new DeleteObjectCommand({ Bucket, Key })).catch(whenMissing);
    },
    list: async function* (Prefix) {
      for (let token: string | undefined, isMore = true; isMore; ) {
        const page = await client
          .send(
            new ListObjectsV2Command({ Bucket, Prefix, ...(token === undefined ? {} : { ContinuationToken: token }) }),
          )
          .catch(rethrow);
        for (const { Key = '', Size = 0, LastModified } of page.Contents ?? [])
          yield { key: Key, sizeBytes: Size, storedAtMs: LastModified?.getTime() ?? 0 };
        token = page.NextContinuationToken;
        isMore = page.IsTruncated === true && token !== undefined;
      }
    },
    signedUrl: (Key, expiresIn) =>
      getSignedUrl(signer, new GetObjectCommand({ Bucket, Key }), { expiresIn }).catch(rethrow),
    abortLeft: async (Prefix, nowMs) => {
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket, Prefix })).catch(rethrow);
      for (const { Key, UploadId, Initiated } of Uploads)
        if (Initiated !== undefined && Initiated.getTime() < nowMs - LEFT_MS)
          await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId })).catch(whenMissing);
    },
    close: () => {
      client.destroy();
      signer.destroy();
    },
  };
}

function openClient(place: S3Place, endpoint: string | null): S3Client {
  return new S3Client({
    region: place.region,
    forcePathStyle: place.isPathStyle,
    maxAttempts: ATTEMPTS_MAX,
    requestHandler: { connectionTimeout: CONNECT_MS, socketTimeout: SILENCE_MS },
    requestChecksumCalculation: place.hasChecksums ? 'WHEN_SUPPORTED' : 'WHEN_REQUIRED',
    // Our own digest is checked by whoever needs it to be right.
    responseChecksumValidation: 'WHEN_REQUIRED',
    ...(endpoint === null ? {} : { endpoint }),
    ...(place.credentials === null ? {} : { credentials: place.credentials }),
  });
}

/** Whole, from a file of this machine. */
export function uploadFile(
  bucket: Bucket,
  key: string,
  { path, through }: { path: string; through: NodeJS.ReadWriteStream & Readable },
) {
  const file = createReadStream(path, { highWaterMark: 256 * 1024 });
  file.on('error', error => through.destroy(error));
  return bucket.upload(key, file.pipe(through) as Readable);
}

const statusOf = (error: unknown): number | undefined =>
  (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;

/** No such object; no such bucket is the operator's mistake. */
function whenMissing(error: unknown): null {
  const { name } = error as Error;
  if (statusOf(error) === 404 && name !== 'NoSuchBucket') return null;
  throw unavailable(error);
}

function rethrow(error: unknown): never {
  throw unavailable(error);
}

function unavailable(cause: unknown): BlobsUnavailableError {
  return new BlobsUnavailableError({ cause });
}
