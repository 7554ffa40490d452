/** IPv4 networks as numbers: parsing, overlap, cutting into blocks. */

export interface Cidr {
  /** Its first address. */
  base: number;
  bits: number;
}

/** `10.0.0.0/8`, or one address. Null when it is neither; host bits are cut off. */
export function parseCidr(text: string): Cidr | null {
  const [address = '', prefix = '32', more] = text.split('/');
  const parts = address.split('.').map(part => (/^\d{1,3}$/.test(part) ? Number(part) : 256));
  const bits = /^\d{1,2}$/.test(prefix) ? Number(prefix) : 33;
  if (parts.length !== 4 || parts.some(part => part > 255) || bits > 32 || more !== undefined) return null;
  const value = parts.reduce((sum, part) => sum * 256 + part, 0);
  return { base: value - (value % sizeOf(bits)), bits };
}

export const sizeOf = (bits: number): number => 2 ** (32 - bits);

export function formatAddress(value: number): string {
  return [24, 16, 8, 0].map(shift => Math.floor(value / 2 ** shift) % 256).join('.');
}
export const formatCidr = ({ base, bits }: Cidr): string => `${formatAddress(base)}/${bits}`;

export function overlap(a: Cidr, b: Cidr): boolean {
  return a.base < b.base + sizeOf(b.bits) && b.base < a.base + sizeOf(a.bits);
}

/** Its parts of that size, in order; itself when it is no larger. */
export function blocksOf(whole: Cidr, bits: number): Cidr[] {
  if (bits <= whole.bits) return [whole];
  return Array.from({ length: 2 ** (bits - whole.bits) }, (_, index) => ({
    base: whole.base + index * sizeOf(bits),
    bits,
  }));
}
