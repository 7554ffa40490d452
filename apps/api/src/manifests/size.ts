/** Sizes as manifests write them: `256M`, `1G`, `1.5gb`, `512KiB`. Units are powers of 1024; the rest after a full unit is cut off, as in CF. */

const UNITS = { B: 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 } as const;
const SIZE = /^(-?\d+(?:\.\d+)?)([KMGT]i?B?|B)$/i;

export type Size = { bytes: number } | { error: string };

/** @param name what is told to the user: `Memory`. */
export function parseSize(value: unknown, name: string): Size {
  const text = typeof value === 'number' || typeof value === 'string' ? String(value).trim() : '';
  if (!/^-?\d/.test(text)) return { error: `${name} is not a number` };
  const match = SIZE.exec(text);
  if (match === null) return { error: `${name} must use a supported unit: B, K, KB, M, MB, G, GB, T, or TB` };
  const unit = (match[2] ?? 'B')[0]?.toUpperCase() as keyof typeof UNITS;
  return { bytes: Math.trunc(Number(match[1]) * UNITS[unit]) };
}

export function parseSizeMb(value: unknown, name: string): { mb: number } | { error: string } {
  const size = parseSize(value, name);
  return 'error' in size ? size : { mb: Math.trunc(size.bytes / UNITS.M) };
}

/** A log rate: a size, or -1 for no limit, or 0 for no logs. */
export function parseLogRate(value: unknown, name: string): Size {
  const text = typeof value === 'number' || typeof value === 'string' ? String(value).trim() : '';
  return text === '-1' || text === '0' ? { bytes: Number(text) } : parseSize(value, name);
}

/** The largest unit that leaves no rest: 1048576 is `1M`, 1536 is `1536B`. */
export function formatBytes(bytes: number): string {
  if (bytes <= 0) return String(bytes);
  for (const unit of ['T', 'G', 'M', 'K'] as const)
    if (bytes % UNITS[unit] === 0) return `${bytes / UNITS[unit]}${unit}`;
  return `${bytes}B`;
}
