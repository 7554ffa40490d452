/** `sidecars` of a manifest, in CF's words (CF: app_manifest_message.rb). */
import { type CreateSidecar, createSidecar } from '@cupola/contract/v3/sidecar';
import { isObject, type Reader, underscoreKeys } from './reader.ts';
import { parseSizeMb } from './size.ts';

export function readSidecars({ raw, errors, asked }: Reader): CreateSidecar[] {
  if (!asked('sidecars') || raw.sidecars === null) return [];
  if (!Array.isArray(raw.sidecars)) {
    errors.push('Sidecars must be an array of sidecar configurations');
    return [];
  }
  return raw.sidecars.flatMap(sent => {
    const given = isObject(sent) ? underscoreKeys(sent) : {};
    const name = typeof given.name === 'string' && given.name !== '' ? given.name : null;
    const complain = (text: string): void => {
      errors.push(name === null ? `Sidecar ${text.toLowerCase()}` : `Sidecar "${name}": ${text}`);
    };
    const memory = readMemory(given.memory, complain);
    const parsed = createSidecar.safeParse({
      ...(given.name === undefined ? {} : { name: given.name }),
      ...(given.command === undefined ? {} : { command: given.command }),
      ...(given.process_types === undefined ? {} : { process_types: given.process_types }),
      ...(memory === undefined ? {} : { memory_in_mb: memory }),
    });
    if (parsed.success) return [parsed.data];
    for (const { message } of parsed.error.issues) complain(message);
    return [];
  });
}

function readMemory(value: unknown, complain: (text: string) => void): number | undefined {
  if (value === undefined || value === null) return undefined;
  const size = parseSizeMb(value, 'Memory');
  if ('mb' in size) return size.mb;
  complain(size.error);
  return undefined;
}
