/** What a machine that has joined a cluster remembers: `member.json` in its data folder, instead of a platform's `config.json`. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sentence } from '@cupola/model/sentence';
import { z } from 'zod';
import { PlainError, writeDurable } from './platform-config.ts';

const schema = z.object({
  version: z.literal(1),
  /** Of the member, and of its cell. */
  id: z.string(),
  /** Names what is this data folder's on the machine: control groups, tables of the packet filter. */
  installation: z.string(),
  /** Of the APIs. */
  addresses: z.array(z.object({ host: z.string(), port: z.number().int() })).min(1),
  roles: z.array(z.enum(['agent', 'stager', 'router'])),
  /** Under which other machines reach this one. */
  host: z.string(),
  listen: z.string(),
  /** Of the agent, for routers; 0 before the first start. */
  forwardPort: z.number().int(),
  port: z.number().int(),
  httpsPort: z.number().int(),
  zone: z.string(),
  segment: z.string().nullable().default(null),
  domain: z.string(),
  hostPorts: z.array(z.number().int()),
  allowUnsandboxed: z.boolean(),
  /** Of the engine that apps run in; null: in a sandbox of ours. */
  dockerHost: z.string().nullable(),
});
export type MemberConfig = z.infer<typeof schema>;

const fileOf = (data: string): string => join(data, 'member.json');

/** Null when this machine has not joined a cluster with that data folder. */
export function readMember(data: string): MemberConfig | null {
  const file = fileOf(data);
  if (!existsSync(file)) return null;
  const parsed = schema.safeParse(JSON.parse(readFileSync(file, 'utf8')));
  if (!parsed.success)
    throw new PlainError(
      `${sentence(`${file} cannot be read: ${z.prettifyError(parsed.error)}`)} Remove it, and join the cluster again.`,
    );
  return parsed.data;
}

export function writeMember(data: string, config: MemberConfig): void {
  writeDurable(fileOf(data), `${JSON.stringify(config, null, 2)}\n`, 0o644);
}
