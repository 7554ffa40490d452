/** Before tests that need it: builds the S3 server of its tests once, into a cache outside of the checkout. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { S3_PROGRAMS, VERSITYGW } from '@cupola/blobs/s3-server';

export function setup(): void {
  if (existsSync(join(S3_PROGRAMS, 'versitygw'))) return;
  mkdirSync(dirname(S3_PROGRAMS), { recursive: true });
  const made = mkdtempSync(`${S3_PROGRAMS}.`);
  try {
    const { status, stderr, error } = spawnSync('go', ['install', VERSITYGW], {
      encoding: 'utf8',
      env: { ...process.env, GOBIN: made },
    });
    if (error !== undefined)
      throw new Error(
        'The tests of the S3 adapter build their server with Go, which is not installed: apt-get install golang-go',
      );
    if (status !== 0)
      throw new Error(
        `go install ${VERSITYGW} failed; it needs Go 1.21 or newer, which fetches the Go that the server asks for:\n${stderr}`,
      );
    // Two at a time: both have made the same.
    if (!existsSync(S3_PROGRAMS)) renameSync(made, S3_PROGRAMS);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}
