/**
 * YAML of a manifest, read so that no text can hold up the API (CF had CVE-2020-5423): what is small and has few anchors is read at once, 10 ms at most;
 * anything else in a thread of its own, which is ended when it has used up its time of the processor: a busy machine makes no manifest too dear.
 */
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { InvalidRequestError, UnprocessableError } from '@cupola/model/errors';
import { PUSH_LIMITS } from '@cupola/model/limits';
import { readYaml, type YamlReading } from './read-yaml.ts';

/** Read at once up to here; measured: the worst text of this size takes 60 ms, a manifest of 400 lines 10 (ours). */
const INLINE_BYTES_MAX = 16 * 1024;
/** Anchors cost their square. */
const INLINE_ANCHORS_MAX = 100;
/** threats.md 32. */
const WORKER_CPU_MS = 2_000;
/** Looked at this often. */
const LOOK_MS = 50;
/** Beyond it nobody waits, however little it got of the processor (ours). */
const WORKER_MAX_MS = 20_000;
const WORKER_HEAP_MB = 256;

/** @throws UnprocessableError over a limit; InvalidRequestError (`MessageParseError`) for what is no YAML. */
export async function parseManifestYaml(text: string): Promise<unknown> {
  const bytes = Buffer.byteLength(text);
  if (bytes > PUSH_LIMITS.manifestMaxBytes)
    throw new UnprocessableError(
      `The manifest has ${bytes} bytes; at most ${PUSH_LIMITS.manifestMaxBytes} are allowed. Split it.`,
    );
  const isSmall = bytes <= INLINE_BYTES_MAX && (text.match(/[&*]/g)?.length ?? 0) <= INLINE_ANCHORS_MAX;
  const reading = isSmall ? readYaml(text) : await readInWorker(text);
  if ('unreadable' in reading)
    throw new InvalidRequestError(`Request invalid due to parse error: ${reading.unreadable}`, 'MessageParseError');
  if ('refused' in reading) throw new UnprocessableError(reading.refused);
  return reading.value;
}

async function readInWorker(text: string): Promise<YamlReading> {
  const worker = new Worker(join(import.meta.dirname, 'read-yaml-worker.ts'), {
    workerData: text,
    resourceLimits: { maxOldGenerationSizeMb: WORKER_HEAP_MB },
  });
  const { promise, resolve } = Promise.withResolvers<YamlReading>();
  const tooDear = { refused: 'The manifest takes too long to read. Use fewer anchors and keys, or split it.' };
  const over = setTimeout(() => resolve(tooDear), WORKER_MAX_MS);
  const look = async (): Promise<void> => {
    const { user, system } = await worker.cpuUsage();
    if ((user + system) / 1_000 > WORKER_CPU_MS) resolve(tooDear);
  };
  const looking = setInterval(() => look().catch(() => undefined), LOOK_MS); // It has ended: what it found is on its way.
  worker.once('message', (reading: YamlReading) => resolve(reading));
  // Out of its heap, or out of its stack: the text did that.
  worker.once('error', () => resolve(tooDear));
  try {
    return await promise;
  } finally {
    clearTimeout(over);
    clearInterval(looking);
    await worker.terminate();
  }
}
