/** The bytes of an upload, straight to disk. Who asks has been checked before; nothing is left behind by an upload that ends early. */
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type BaseOfChanges, baseOfChanges, type Resource, uploadedResources } from '@cupola/contract/v3/package';
import { InvalidRequestError, UnavailableError } from '@cupola/model/errors';
import { PUSH_LIMITS } from '@cupola/model/limits';
import { sentence } from '@cupola/model/sentence';
import type { ZodType } from 'zod';
import type { ApiDeps } from '../deps.ts';
import type { ApiRequest } from '../http/endpoint.ts';
import { requireSpace, whenFull } from './free-space.ts';
import { createPace } from './pace.ts';

export interface Received extends AsyncDisposable {
  /** File of the zip; null: every file was matched. */
  zip: string | null;
  /** What its sender calls that file. */
  filename: string | null;
  resources: Array<Resource & { path: string }>;
  /** The package that it starts from, as its sender named it; to be read by `parseBase`. */
  base: unknown;
}

/** The list of matched files of 100,000 entries (PUSH_LIMITS), some 150 bytes each and long paths. */
const LIST_MAX_BYTES = 64 * 1024 * 1024;
/** Looked at this often whether bytes still come. */
const LOOK_MS = 5_000;

/** @throws InvalidRequestError for what is no upload, UnavailableError when the disk is nearly full. */
export async function receiveUpload(deps: ApiDeps, request: ApiRequest): Promise<Received> {
  // What comes lies here twice until the pack is made.
  await requireSpace(deps, Number(request.raw.request.headers['content-length'] ?? 0) * 2);
  // Loaded with the first upload: its tables of file types take longer than the rest of the API's start.
  const { default: multer } = await import('multer');
  const name = randomUUID();
  const parse = multer({
    storage: multer.diskStorage({
      destination: deps.config.uploadFolder,
      filename: (_request, _file, done) => done(null, name),
    }),
    limits: {
      fileSize: PUSH_LIMITS.uploadMaxBytes,
      files: 1,
      fields: 8,
      parts: 10,
      fieldSize: LIST_MAX_BYTES,
      fieldNameSize: 64,
      headerPairs: 20,
    },
  }).single('bits');
  const file = join(deps.config.uploadFolder, name);
  const discard = (): Promise<void> => rm(file, { force: true });
  try {
    await withWatch(request, () => run(parse, request));
    const { file: bits, body } = request.raw.request as {
      file?: { path: string; originalname?: string };
      body?: Record<string, unknown>;
    };
    return {
      zip: bits?.path ?? null,
      filename: bits?.originalname ?? null,
      resources: parseResources(body?.resources),
      base: body?.base,
      [Symbol.asyncDispose]: discard,
    };
  } catch (error) {
    await discard();
    throw asRefusal(error);
  }
}

type Parse = (request: never, response: never, done: (error?: unknown) => void) => void;

function run(parse: Parse, { raw }: ApiRequest): Promise<void> {
  return new Promise((resolve, reject) => {
    parse(raw.request as never, raw.response as never, error => (error ? reject(error) : resolve()));
  });
}

/** Cuts an upload that has stalled or trickles. */
async function withWatch(request: ApiRequest, work: () => Promise<void>): Promise<void> {
  const { socket } = request.raw.request;
  const before = socket.bytesRead;
  const isFastEnough = createPace(performance.now());
  const timer = setInterval(() => {
    if (!isFastEnough(socket.bytesRead - before, performance.now())) socket.destroy();
  }, LOOK_MS);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
}

function parseResources(text: unknown): Received['resources'] {
  if (text === undefined || text === '') return [];
  return parseField('resources', text, uploadedResources);
}

/** @throws InvalidRequestError when it is missing, or has the wrong form. */
export function parseBase(text: unknown): BaseOfChanges {
  return parseField('base', text, baseOfChanges);
}

function parseField<T>(name: string, text: unknown, schema: ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(String(text));
  } catch {
    throw new InvalidRequestError(`The field "${name}" of this upload is no JSON.`, 'AppBitsUploadInvalid');
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success)
    throw new InvalidRequestError(
      sentence(
        `The field "${name}" of this upload cannot be used: ${parsed.error.issues[0]?.message ?? 'it has the wrong form'}`,
      ),
      'AppBitsUploadInvalid',
    );
  return parsed.data;
}

/** What a parser says of a malformed body is its sender's to mend; only a disk's errors have a system code. */
function asRefusal(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof InvalidRequestError || error instanceof UnavailableError)
    return error;
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'LIMIT_FILE_SIZE')
    return new InvalidRequestError(
      `The upload is larger than ${PUSH_LIMITS.uploadMaxBytes / 1024 ** 2} MB. Leave files out with a .cfignore.`,
      'AppBitsUploadInvalid',
    );
  if (code !== undefined && !code.startsWith('LIMIT_') && /^E[A-Z]+$/.test(code) && code !== 'ECONNRESET')
    return whenFull(error);
  return new InvalidRequestError(sentence(`The upload cannot be read: ${error.message}`), 'AppBitsUploadInvalid');
}
