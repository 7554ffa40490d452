/** Row 13: a large blob into the store: on disk, beside the same bytes written to a file and fsynced; on a real S3 server, beside curl to the same server. */
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { open, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import type { BlobStore } from '../packages/blobs/src/blob-store.ts';
import { openFileBlobs } from '../packages/blobs/src/files.ts';
import { openS3Blobs } from '../packages/blobs/src/s3.ts';
import { ACCESS, S3_PROGRAMS, type S3Server, SECRET, startS3 } from '../packages/blobs/src/s3-server.ts';
import { median, type Row, timed } from './table.ts';

const run = promisify(execFile);
const BUCKET = 'bench';
const MIB = 1024 * 1024;
const CHUNKS = 256;
const BYTES = CHUNKS * MIB;
/** The same bytes each time: what is measured is not how they are made. */
const CHUNK = randomBytes(MIB);

const chunks = (): Buffer[] => Array.from({ length: CHUNKS }, () => CHUNK);
const perSecond = (tookMs: number): number => BYTES / MIB / (tookMs / 1_000);

async function raw(file: string): Promise<number> {
  const { tookMs } = await timed(async () => {
    const handle = await open(file, 'w');
    for (const chunk of chunks()) await handle.writeFile(chunk);
    await handle.sync();
    await handle.close();
  });
  rmSync(file);
  return perSecond(tookMs);
}

/** Rate, and by how much the process has grown meanwhile, MiB. */
async function stored(blobs: BlobStore, digest: string): Promise<Seen> {
  const before = process.memoryUsage().rss;
  let most = before;
  const body = Readable.from(
    (function* () {
      for (const chunk of chunks()) {
        most = Math.max(most, process.memoryUsage().rss);
        yield chunk;
      }
    })(),
  );
  const { tookMs } = await timed(() => blobs.put(body, { expectedDigest: digest }));
  await blobs.remove(digest);
  return { rate: perSecond(tookMs), grown: (most - before) / MIB };
}

/** As one object, its digest told beforehand as ours is: no more is asked of it. */
async function byCurl(server: S3Server, file: string, digest: string): Promise<number> {
  const signed = ['--aws-sigv4', 'aws:amz:us-east-1:s3', '--user', `${ACCESS}:${SECRET}`];
  const words = [
    ...signed,
    '-H',
    `x-amz-content-sha256: ${digest}`,
    '-T',
    file,
    `${server.endpoint}/${BUCKET}/by-curl`,
  ];
  return perSecond((await timed(() => run('curl', ['-sS', '--fail', ...words]))).tookMs);
}

interface Seen {
  rate: number;
  grown: number;
}

function row(where: string, seen: readonly Seen[], peers: readonly number[], peer: string): Row {
  const rate = median(seen.map(one => one.rate));
  const grown = Math.max(...seen.map(one => one.grown));
  const ratio = rate / median(peers);
  return {
    row: '13',
    what: `a blob of ${BYTES / MIB} MiB into the store, ${where}`,
    ours: `${Math.round(rate)} MiB/s, grown by ${Math.round(grown)} MiB`,
    beside: `${Math.round(median(peers))} MiB/s ${peer}`,
    ratio,
    aim: '>= 0.5, grown <= 50 MiB',
    met: ratio >= 0.5 && grown <= 50,
  };
}

export async function benchBlobs(rounds: number): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-bench-blobs-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(folder, { recursive: true }));
  const hash = createHash('sha256');
  for (const chunk of chunks()) hash.update(chunk);
  const digest = hash.digest('hex');
  const files = openFileBlobs({ folder: join(folder, 'files') });
  const [onDisk, plain]: [Seen[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    plain.push(await raw(join(folder, 'raw')));
    onDisk.push(await stored(files, digest));
  }
  const rows = [row('on disk', onDisk, plain, 'file and fsync')];
  if (!existsSync(S3_PROGRAMS)) return rows;
  const server = stack.use(await startS3());
  const s3 = openS3Blobs({ url: server.bucket(BUCKET), folder: join(folder, 'cache') });
  stack.defer(() => s3.close());
  const source = join(folder, 'source');
  await writeFile(source, chunks());
  const [onS3, curls]: [Seen[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    curls.push(await byCurl(server, source, digest));
    onS3.push(await stored(s3, digest));
  }
  return [...rows, row('on S3 (versitygw here)', onS3, curls, 'curl to the same')];
}
