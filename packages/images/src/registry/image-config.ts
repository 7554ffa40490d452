/** What an image says of itself (OCI's image spec, config.md; Docker's has the same members), as far as it is followed here. */
import type { ImageConfig } from '@cupola/model/run-spec';
import { z } from 'zod';
import { ARCHITECTURE } from '../rootfs/layout.ts';
import { RegistryError } from './errors.ts';
import { parsed } from './repository.ts';

const words = z.array(z.string()).nullish();
const schema = z.object({
  architecture: z.string().nullish(),
  os: z.string().nullish(),
  config: z
    .object({
      Entrypoint: words,
      Cmd: words,
      Env: words,
      WorkingDir: z.string().nullish(),
      User: z.string().nullish(),
      ExposedPorts: z.record(z.string(), z.unknown()).nullish(),
    })
    .nullish(),
});

export interface ImageFacts {
  config: ImageConfig;
}

/** @throws RegistryError for what is none, and for an image of another kind of machine. */
export function readImageConfig(bytes: Buffer): ImageFacts {
  const { architecture, os, config } = parsed(bytes, schema, 'its configuration');
  const isOurs = (os ?? 'linux') === 'linux' && (architecture ?? ARCHITECTURE) === ARCHITECTURE;
  if (!isOurs)
    throw new RegistryError('unfit', `it is for ${os}/${architecture}, and this machine is linux/${ARCHITECTURE}`);
  return {
    config: {
      entrypoint: config?.Entrypoint ?? [],
      command: config?.Cmd ?? [],
      environment: Object.fromEntries((config?.Env ?? []).map(variable)),
      folder: config?.WorkingDir || '/',
      user: config?.User ?? '',
      ports: tcpPorts(Object.keys(config?.ExposedPorts ?? {})),
    },
  };
}

function variable(text: string): [name: string, value: string] {
  const at = text.indexOf('=');
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

/** `8080/tcp`, `8080`, `7000-7003/tcp`: in order of number, since the object has none. */
function tcpPorts(names: readonly string[]): number[] {
  const ports = names.flatMap(name => {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/tcp)?$/i.exec(name);
    const port = Number(match?.[1] ?? 0);
    return port > 0 && port < 65_536 ? [port] : [];
  });
  return [...new Set(ports)].sort((a, b) => a - b);
}
