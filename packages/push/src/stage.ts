/** Staging: asks for the build, shows its log as it goes, returns the droplet. */
import type { CloudClient } from '@cupola/client/cloud-client';
import { type ClientLogLine, followLines } from '@cupola/client/logs';
import { type ReadPackage, readBuild } from '@cupola/contract/v3/client-reads';
import { STAGING_LIMITS } from '@cupola/model/limits';
import { stagingFailure } from './explain-failure.ts';

interface Staging {
  readonly appGuid: string;
  readonly appName: string;
  readonly package: ReadPackage;
  show(line: ClientLogLine): void;
}

/** Beyond the platform's own limit: what it says then is better than our own guess. */
const LIMIT_MS = STAGING_LIMITS.timeoutMs + STAGING_LIMITS.sweepAfterMs;

/** Returns the droplet's guid. Throws with the build's own error when it fails. */
export async function stage(client: CloudClient, { appGuid, appName, package: made, show }: Staging): Promise<string> {
  const build = await client.read(readBuild, {
    method: 'POST',
    path: '/v3/builds',
    isRepeatable: true,
    json: { package: { guid: made.guid } },
  });
  const ended = new AbortController();
  const lines: string[] = [];
  // From the package on, by the server's own clock: staging may have begun with the upload.
  const fromNs = BigInt(Date.parse(made.created_at)) * 1_000_000n;
  const showing = followLines(client, appGuid, {
    fromNs,
    signal: ended.signal,
    show: line => {
      if (line.sourceType !== 'STG') return;
      lines.push(line.text);
      show(line);
    },
  }).catch(() => undefined); // A log that cannot be read is no reason to fail a push.
  try {
    const done = await client.poll({
      path: `/v3/builds/${build.guid}`,
      schema: readBuild,
      what: `staging of ${appName}`,
      limitMs: LIMIT_MS,
      isDone: ({ state }) => state !== 'STAGING',
    });
    const droplet = done.droplet?.guid;
    if (done.state === 'STAGED' && droplet !== undefined) return droplet;
    throw stagingFailure(appName, done.error ?? 'it gave no reason', lines);
  } finally {
    ended.abort();
    await showing;
  }
}
