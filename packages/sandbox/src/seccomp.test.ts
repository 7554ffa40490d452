import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { seccompFilter } from './seccomp.ts';

const ALLOW = 0x7fff0000;
const EPERM = 0x00050001;
const ENOSYS = 0x00050026;
const KILL = 0x80000000;
const X86_64 = 0xc000003e;
const AARCH64 = 0xc00000b7;

/** What the kernel does with the filter (linux/filter.h), as far as ours goes. */
function run(filter: Buffer, call: { number: number; arch: number; first?: number; second?: number }): number {
  const data: Record<number, number> = { 0: call.number, 4: call.arch, 16: call.first ?? 0, 24: call.second ?? 0 };
  let accumulator = 0;
  for (let at = 0; ; at++) {
    const code = filter.readUInt16LE(at * 8);
    const value = filter.readUInt32LE(at * 8 + 4);
    const jump = (isTrue: boolean): number => filter.readUInt8(at * 8 + (isTrue ? 2 : 3));
    if (code === 0x06) return value;
    if (code === 0x20) accumulator = data[value] ?? 0;
    else if (code === 0x15) at += jump(accumulator === value);
    else if (code === 0x35) at += jump(accumulator >= value);
    else if (code === 0x45) at += jump((accumulator & value) !== 0);
    else throw new Error(`instruction ${at} has the unknown code ${code}`);
  }
}

test('seccompFilter() gives the same bytes at each time', () => {
  const digest = (arch: 'x64' | 'arm64'): string => createHash('sha256').update(seccompFilter(arch)).digest('hex');
  expect({ x64: digest('x64'), arm64: digest('arm64') }).toMatchInlineSnapshot(`
    {
      "arm64": "7d53b69ff93205eee0cd5145f8bfc1cdf1037a83d435010e6d01ca957d99582f",
      "x64": "5070df66c51848d4743005d9e8972a93742239071dde1cddf715e811c68b73df",
    }
  `);
});

test.each<[name: string, call: Parameters<typeof run>[1], verdict: number]>([
  ['read', { number: 0, arch: X86_64 }, ALLOW],
  ['execve', { number: 59, arch: X86_64 }, ALLOW],
  ['mount', { number: 165, arch: X86_64 }, EPERM],
  ['ptrace', { number: 101, arch: X86_64 }, EPERM],
  ['unshare', { number: 272, arch: X86_64 }, EPERM],
  ['bpf', { number: 321, arch: X86_64 }, EPERM],
  ['io_uring_setup', { number: 425, arch: X86_64 }, EPERM],
  ['clone of a thread', { number: 56, arch: X86_64, first: 0x003d0f00 }, ALLOW],
  ['clone with CLONE_NEWUSER', { number: 56, arch: X86_64, first: 0x10000000 }, EPERM],
  ['clone3', { number: 435, arch: X86_64 }, ENOSYS],
  ['socket of AF_INET', { number: 41, arch: X86_64, first: 2 }, ALLOW],
  ['socket of AF_ALG', { number: 41, arch: X86_64, first: 38 }, EPERM],
  ['socket of AF_VSOCK', { number: 41, arch: X86_64, first: 40 }, EPERM],
  ['ioctl TIOCSTI', { number: 16, arch: X86_64, second: 0x5412 }, EPERM],
  ['ioctl TCGETS', { number: 16, arch: X86_64, second: 0x5401 }, ALLOW],
  ['mount by its x32 number', { number: 165 + 0x40000000, arch: X86_64 }, EPERM],
  ['anything of another architecture', { number: 0, arch: AARCH64 }, KILL],
])('on x64 %s gets its verdict', (_name, call, verdict) => {
  expect(run(seccompFilter('x64'), call)).toBe(verdict);
});

test.each<[name: string, call: Parameters<typeof run>[1], verdict: number]>([
  ['read', { number: 63, arch: AARCH64 }, ALLOW],
  ['mount', { number: 40, arch: AARCH64 }, EPERM],
  ['ptrace', { number: 117, arch: AARCH64 }, EPERM],
  ['clone with CLONE_NEWNET', { number: 220, arch: AARCH64, first: 0x40000000 }, EPERM],
  ['anything of another architecture', { number: 63, arch: X86_64 }, KILL],
])('on arm64 %s gets its verdict', (_name, call, verdict) => {
  expect(run(seccompFilter('arm64'), call)).toBe(verdict);
});
