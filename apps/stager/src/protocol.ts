/**
 * The messages between the stager and the build inside its sandbox. What comes from inside is parsed here, at the door: code of the app may have written it.
 * Inside only the types are used, so that no build loads a schema library.
 */
import { z } from 'zod';

/** More than any build has: bounds what one may make the stager keep. */
const TEXT_MAX = 10_000;
const text = z.string().max(TEXT_MAX);

const toolchainAsk = z.object({
  type: z.literal('toolchain'),
  /** Echoed in the answer. */
  id: z.number().int(),
  ask: z.object({
    name: z.enum(['node', 'npm', 'pnpm', 'yarn']),
    range: z.string().max(256).nullable(),
    nodeVersion: z.string().max(64).nullable(),
  }),
});

const staged = z.object({
  type: z.literal('staged'),
  buildpacks: z
    .array(z.object({ name: text, buildpackName: text, detectOutput: text, version: text.nullable() }))
    .min(1)
    .max(20),
  processTypes: z.record(z.string().max(255), z.string().max(TEXT_MAX)),
  sidecars: z
    .array(z.object({ name: z.string().max(255), processTypes: z.array(z.string().max(255)).max(20), command: text }))
    .max(20),
});

const failed = z.object({ type: z.literal('failed'), title: z.string().max(64), error: text });

/** From inside. Pieces of the tar come before `staged`, each in a frame of its own. */
export const fromInside = z.discriminatedUnion('type', [toolchainAsk, staged, failed]);
export type FromInside = z.infer<typeof fromInside>;
export type Staged = z.infer<typeof staged>;
export type Failed = z.infer<typeof failed>;

/** To inside. */
export type ToInside = Begin | ToolchainAnswer;

/** The first message: all that the build needs to know. Paths are those inside. */
export interface Begin {
  type: 'begin';
  packageFile: string;
  home: string;
  tools: string;
  cache: string;
  unpackedMaxBytes: number;
  asked: string[];
  detectOrder: string[];
  /** Zips of buildpacks that admins have added. */
  customBuildpacks: Array<{ name: string; file: string }>;
  /** The app's own, over what the build sets itself. */
  environment: Record<string, string>;
  /** Defaults of build commands: PATH, proxies. */
  defaults: Record<string, string>;
  /** Text of the user's npm settings file: registries and proxies of the operator, never their tokens. */
  npmrc: string;
  /** Text of the user's settings of Maven, the same way; null: none. */
  mavenSettings: string | null;
  /** The sandbox has process ids of its own: whatever the build has left running may be ended. */
  ownPids: boolean;
}

export interface ToolchainAnswer {
  type: 'toolchain';
  id: number;
  toolchain: { name: 'node' | 'npm' | 'pnpm' | 'yarn'; version: string; path: string } | null;
  /** Why there is none. */
  error: { title: string; message: string } | null;
}
