/** `Staticfile.auth`: lines of `name:hash` as htpasswd writes them. Known: Apache's MD5 (its default), SHA-1, plain. */
import { createHash, timingSafeEqual } from 'node:crypto';

const LETTERS = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Whether an `Authorization` header names one of the file's users, with the password. */
export function isAllowed(file: string, authorization: string | undefined): boolean {
  const encoded = /^Basic\s+([A-Za-z0-9+/=]+)$/i.exec(authorization ?? '')?.[1];
  if (encoded === undefined) return false;
  const [, name, password] = /^([^:]*):(.*)$/s.exec(Buffer.from(encoded, 'base64').toString('utf8')) ?? [];
  if (name === undefined || password === undefined) return false;
  const hash = file
    .split(/\r?\n/)
    .find(line => line.startsWith(`${name}:`))
    ?.slice(name.length + 1)
    .trim();
  return hash !== undefined && matches(password, hash);
}

function matches(password: string, hash: string): boolean {
  const [, salt] = /^\$apr1\$([^$]{1,8})\$/.exec(hash) ?? [];
  if (salt !== undefined) return equal(apacheMd5(password, salt), hash);
  if (hash.startsWith('{SHA}')) return equal(`{SHA}${createHash('sha1').update(password).digest('base64')}`, hash);
  return !hash.startsWith('$') && equal(password, hash);
}

function equal(one: string, other: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}

/** The algorithm of apr_md5_encode: a thousand rounds of MD5 over password, salt and the round before. */
function apacheMd5(password: string, salt: string): string {
  const md5 = (...parts: Array<string | Buffer>): Buffer => {
    const hash = createHash('md5');
    for (const part of parts) hash.update(part);
    return hash.digest();
  };
  const length = Buffer.byteLength(password);
  const inner = md5(password, salt, password);
  const parts: Array<string | Buffer> = [password, '$apr1$', salt];
  for (let left = length; left > 0; left -= 16) parts.push(inner.subarray(0, Math.min(16, left)));
  for (let bits = length; bits > 0; bits >>= 1)
    parts.push(bits & 1 ? Buffer.alloc(1) : Buffer.from(password).subarray(0, 1));
  let final = md5(...parts);
  for (let round = 0; round < 1_000; round++)
    final = md5(
      round & 1 ? password : final,
      round % 3 === 0 ? '' : salt,
      round % 7 === 0 ? '' : password,
      round & 1 ? final : password,
    );
  const byte = (index: number): number => final[index] ?? 0;
  const groups = [
    [0, 6, 12],
    [1, 7, 13],
    [2, 8, 14],
    [3, 9, 15],
    [4, 10, 5],
  ].map(([a = 0, b = 0, c = 0]) => letters((byte(a) << 16) | (byte(b) << 8) | byte(c), 4));
  return `$apr1$${salt}$${groups.join('')}${letters(byte(11), 2)}`;
}

function letters(value: number, count: number): string {
  return Array.from({ length: count }, (_, index) => LETTERS[(value >> (6 * index)) & 63]).join('');
}
