/**
 * Before tests that may need it: has the S3 server of its tests built once, into a cache outside of the checkout. Nobody waits here: it takes both processors for
 * more than a minute, so it is built at a low priority, mostly in what other tests leave of the machine. `startS3()` waits for it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { S3_FAILED, S3_PROGRAMS, VERSITYGW } from '@cupola/blobs/s3-server';

/** Several projects of a run ask for it, each with a copy of this module: one builds. */
const BUILDING = Symbol.for('cupola.building-s3');
const here = globalThis as { [BUILDING]?: { child: ChildProcess; ended: Promise<void> } };
/** Of code that is compiled for one run and thrown away, half of the work. Not of Go's own packages: those of other tests' programs come from the same cache. */
const HASTY = ['github.com', 'golang.org'].map(host => `-gcflags=${host}/...=-N -l`);

export function setup(): void {
  if (here[BUILDING] !== undefined || existsSync(join(S3_PROGRAMS, 'versitygw'))) return;
  mkdirSync(dirname(S3_PROGRAMS), { recursive: true });
  rmSync(S3_FAILED, { force: true });
  const made = mkdtempSync(`${S3_PROGRAMS}.`);
  const flags = process.env.CI === 'true' ? [...HASTY, '-ldflags=-s -w'] : [];
  // In this session: another one would get as much of the processors as all the tests of this one (sched(7), autogroups).
  const child = spawn('nice', ['-n', '10', 'go', 'install', ...flags, VERSITYGW], {
    env: { ...process.env, GOBIN: made },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const said = text(child.stderr);
  const failure = new Promise<string | null>(resolve => {
    child.on('error', error => resolve(String(error)));
    child.on('close', async code => resolve(code === 0 ? null : await said));
  });
  here[BUILDING] = { child, ended: failure.then(reason => keep(made, reason)) };
}

function keep(made: string, failure: string | null): void {
  // Two runs at a time: both have made the same.
  if (failure === null && !existsSync(S3_PROGRAMS)) renameSync(made, S3_PROGRAMS);
  if (failure !== null)
    writeFileSync(
      S3_FAILED,
      `go install ${VERSITYGW} failed; it needs Go 1.21 or newer (apt-get install golang-go), which fetches the Go that the server asks for:\n${failure}`,
    );
  rmSync(made, { recursive: true, force: true });
}

/** Tests that needed it have waited for it; others end without. */
export async function teardown(): Promise<void> {
  const building = here[BUILDING];
  if (building === undefined) return;
  const { child, ended } = building;
  // Go ends what it has begun.
  child.kill('SIGINT');
  await ended;
}
