import { createHash } from 'node:crypto';
import { Transform } from 'node:stream';
import { DigestMismatchError } from './errors.ts';

/** Passes bytes on, holding one chunk back: the last one goes out only when the whole is what it should be. */
export function verifying(digest: string, setAside: () => Promise<void> = async () => undefined): Transform {
  const hash = createHash('sha256');
  let held: Buffer | undefined;
  const check = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      const ready = held;
      held = chunk;
      done(null, ready);
    },
    flush(done) {
      const actual = hash.digest('hex');
      if (actual === digest) return done(null, held);
      const mismatch = () => done(new DigestMismatchError(digest, actual));
      // Removed meanwhile, or a full disk: the reader is warned all the same, and the next one finds the damage again.
      setAside().then(mismatch, mismatch);
    },
  });
  // A small one may fail before anybody listens: without this it would end the process. Whoever reads it then is told all the same.
  check.on('error', () => undefined);
  return check;
}
