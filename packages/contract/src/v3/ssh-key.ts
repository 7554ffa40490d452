/** Public keys of users, for pushes over SSH, and what git's part asks when one logs in. An addition to Cloud Foundry. */
import { z } from 'zod';
import { body } from './parts.ts';

const LINE_MAX = 16_384;
const BLOB_MAX = 65_536;

export const createSshKey = body({
  name: z.string({ error: 'Name must be a string' }).min(1, { error: "Name can't be blank" }).max(100),
  /** A line as `ssh-keygen` writes it: `ssh-ed25519 AAAA... comment`. */
  public_key: z.string({ error: 'Public key must be a string' }).max(LINE_MAX),
});

export const sshKey = z.object({
  guid: z.string(),
  name: z.string(),
  algorithm: z.string(),
  fingerprint: z.string(),
  created_at: z.string(),
});

const base64 = z
  .string()
  .max(BLOB_MAX)
  .regex(/^[A-Za-z0-9+/]*={0,2}$/);

/** A key that somebody offers; with what they have signed by it, when they have proven that it is theirs. */
export const sshLogin = z.strictObject({
  key: base64,
  proof: z
    .strictObject({ signed: base64, signature: base64, hash: z.enum(['sha256', 'sha512']).nullable() })
    .nullable(),
});

/** Null: it is only known. */
export const sshLoginAnswer = z.object({ token: z.string().nullable() });
