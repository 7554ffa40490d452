import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

/** Seals secrets for the store with AES-256-GCM. The text carries the id of its key, so that keys can be changed one row at a time. */
export interface Sealer {
  seal(text: string): string;
  /** Throws when the key is unknown or the text was changed. */
  open(sealed: string): string;
}

/** `keys`: id -> 32 bytes; the newest seals, all open. */
export function aesSealer(keys: ReadonlyMap<string, Buffer>, newest: string): Sealer {
  const keyOf = (id: string): Buffer => {
    const key = keys.get(id);
    if (key === undefined)
      throw new Error(`sealed with key "${id}", which is not in the key file: restore that file from a backup`);
    return key;
  };
  return {
    seal(text) {
      const iv = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', keyOf(newest), iv);
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
      return `${newest}.${Buffer.concat([iv, cipher.getAuthTag(), body]).toString('base64url')}`;
    },
    open(sealed) {
      const dot = sealed.indexOf('.');
      const bytes = Buffer.from(sealed.slice(dot + 1), 'base64url');
      const decipher = createDecipheriv('aes-256-gcm', keyOf(sealed.slice(0, dot)), bytes.subarray(0, 12));
      decipher.setAuthTag(bytes.subarray(12, 28));
      return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString('utf8');
    },
  };
}
