/** Who an image runs as, by its own lists of users and groups. */
import { readFileSync, statSync } from 'node:fs';
import { fileWithin } from './within.ts';

export interface ImageUser {
  uid: number;
  gid: number;
  /** Null: its list has no such user. */
  name: string | null;
  home: string;
}

/** Of a list of users; a larger one is none (ours). */
const LIST_MAX_BYTES = 4 * 1024 * 1024;
/** The kernel's highest; the one above it means "no id". */
const ID_MAX = 2 ** 32 - 2;

/** `text`: `USER` or `USER:GROUP`, by name or by number, as Docker takes it; empty: root. @throws Error in words for whoever pushed the image. */
export function imageUser(root: string, text: string): ImageUser {
  const [user = '', group] = text.split(':');
  const users = listOf(root, '/etc/passwd');
  const wanted = user === '' ? '0' : user;
  const row =
    users.find(([name]) => name === wanted) ??
    users.find(([, , uid]) => isNumber(wanted) && Number(uid) === Number(wanted));
  if (row === undefined && !isNumber(wanted)) throw new Error(`the image has no user "${wanted}" in its /etc/passwd`);
  return {
    uid: idOf(row?.[2] ?? wanted),
    gid: group === undefined || group === '' ? idOf(row?.[3] ?? '0') : groupId(root, group),
    name: row?.[0] ?? null,
    home: row?.[5] || '/',
  };
}

function groupId(root: string, group: string): number {
  const row = listOf(root, '/etc/group').find(([name]) => name === group);
  if (row === undefined && !isNumber(group)) throw new Error(`the image has no group "${group}" in its /etc/group`);
  return idOf(row?.[2] ?? group);
}

const isNumber = (text: string): boolean => /^\d+$/.test(text);

function idOf(text: string): number {
  const id = isNumber(text) ? Number(text) : Number.NaN;
  if (!(id <= ID_MAX)) throw new Error(`"${text}" is no user or group id`);
  return id;
}

function listOf(root: string, path: string): string[][] {
  const file = fileWithin(root, path);
  if (file === null || statSync(file).size > LIST_MAX_BYTES) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .map(line => line.split(':'))
    .filter(fields => fields.length > 2);
}
