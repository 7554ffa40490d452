/**
 * The operator's certificate on its way to the router: the router's uid reads only the state folder, so the files are copied there, now and whenever they
 * have changed (certbot writes new ones every two months). Without a given certificate no copy stays behind.
 */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, unwatchFile, watchFile, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readPair } from '@cupola/certificates/given';
import { PlainError, type PlatformConfig } from './platform-config.ts';
import { giveState } from './platform-user.ts';

export interface GivenCertificate {
  close(): void;
}

interface Options {
  data: string;
  config: PlatformConfig;
  report(text: string): void;
}

/** How often the files are looked at. */
const LOOK_MS = 2_000;

/** Throws PlainError when the files cannot be used. */
export function keepGiven({ data, config, report }: Options): GivenCertificate {
  const folder = join(data, 'state', 'tls');
  const { tls } = config;
  if (tls === null) {
    for (const name of ['given.pem', 'given.key']) rmSync(join(folder, name), { force: true });
    return { close: () => undefined };
  }
  const copy = (): void => {
    const { cert, key } = readPair(tls);
    writeWhole(join(folder, 'given.key'), key);
    writeWhole(join(folder, 'given.pem'), cert);
    giveState(folder, config.platformUid);
  };
  try {
    copy();
  } catch (error) {
    throw new PlainError(`The certificate cannot be used: ${(error as Error).message}`);
  }
  const changed = (): void => {
    try {
      copy();
      report(`the certificate in ${tls.certFile} has changed: it is shown from now on`);
    } catch (error) {
      report(`the new certificate cannot be used, the former one stays: ${(error as Error).message}`);
    }
  };
  const files = [tls.certFile, tls.keyFile];
  for (const file of files) watchFile(file, { interval: LOOK_MS, persistent: false }, changed);
  return { close: () => files.forEach(file => void unwatchFile(file, changed)) };
}

function writeWhole(file: string, text: string): void {
  const fd = openSync(`${file}.new`, 'w', 0o600);
  writeFileSync(fd, text);
  fsyncSync(fd);
  closeSync(fd);
  renameSync(`${file}.new`, file);
}
