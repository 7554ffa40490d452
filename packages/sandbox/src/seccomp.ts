/**
 * The seccomp filter, assembled here: deny with EPERM what no app needs and what breaks out, allow the rest. Classic BPF as the kernel takes it
 * (linux/seccomp.h, linux/filter.h): 8 bytes an instruction, little endian. bubblewrap reads it from a descriptor; runc takes the same list in words.
 */
import { writeFileSync } from 'node:fs';

type Arch = 'x64' | 'arm64';

/** By name: x86_64, aarch64 (-1: not there). From the kernel's own tables (arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h). */
const DENIED: Record<string, [x64: number, arm64: number]> = {
  mount: [165, 40],
  umount2: [166, 39],
  pivot_root: [155, 41],
  open_tree: [428, 428],
  move_mount: [429, 429],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fspick: [433, 433],
  mount_setattr: [442, 442],
  unshare: [272, 97],
  setns: [308, 268],
  keyctl: [250, 219],
  add_key: [248, 217],
  request_key: [249, 218],
  bpf: [321, 280],
  perf_event_open: [298, 241],
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  userfaultfd: [323, 282],
  init_module: [175, 105],
  finit_module: [313, 273],
  delete_module: [176, 106],
  kexec_load: [246, 104],
  kexec_file_load: [320, 294],
  reboot: [169, 142],
  swapon: [167, 224],
  swapoff: [168, 225],
  open_by_handle_at: [304, 265],
  quotactl: [179, 60],
  quotactl_fd: [443, 443],
  iopl: [172, -1],
  ioperm: [173, -1],
  io_uring_setup: [425, 425],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  clock_settime: [227, 112],
  settimeofday: [164, 170],
  clock_adjtime: [305, 266],
  adjtimex: [159, 171],
  syslog: [103, 116],
  acct: [163, 89],
};
const CLONE = { x64: 56, arm64: 220 };
const CLONE3 = 435;
const SOCKET = { x64: 41, arm64: 198 };
const IOCTL = { x64: 16, arm64: 29 };
/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const CLONE_NEW = 0x7e02_0000;
const AF_ALG = 38;
const AF_VSOCK = 40;
const TIOCSTI = 0x5412;
const AUDIT_ARCH = { x64: 0xc000_003e, arm64: 0xc000_00b7 };
/** System calls of the x32 ABI: same numbers with this bit, so a way around every rule. */
const X32_BIT = 0x4000_0000;

const LOAD = 0x20;
const EQUAL = 0x15;
const AT_LEAST = 0x35;
const ANY_BIT = 0x45;
const RETURN = 0x06;
const ALLOW = 0x7fff_0000;
const EPERM = 0x0005_0001;
/** glibc then falls back to clone, whose flags can be looked at. */
const ENOSYS = 0x0005_0026;
const KILL = 0x8000_0000;
const OFFSET = { number: 0, arch: 4, argument0: 16, argument1: 24 };

type Instruction = [code: number, ifTrue: number, ifFalse: number, value: number];

/** Pure: the same bytes for the same architecture. */
export function seccompFilter(arch: Arch): Buffer {
  const column = arch === 'x64' ? 0 : 1;
  const denied = Object.values(DENIED)
    .map(numbers => numbers[column])
    .filter(number => number !== -1);
  const program: Instruction[] = [
    [LOAD, 0, 0, OFFSET.arch],
    [EQUAL, 1, 0, AUDIT_ARCH[arch]],
    [RETURN, 0, 0, KILL],
    [LOAD, 0, 0, OFFSET.number],
    ...(arch === 'x64'
      ? ([
          [AT_LEAST, 0, 1, X32_BIT],
          [RETURN, 0, 0, EPERM],
        ] satisfies Instruction[])
      : []),
    ...denied.flatMap((number): Instruction[] => [
      [EQUAL, 0, 1, number],
      [RETURN, 0, 0, EPERM],
    ]),
    [EQUAL, 0, 1, CLONE3],
    [RETURN, 0, 0, ENOSYS],
    // Each block below loads an argument, so it ends with an answer for its system call.
    [EQUAL, 0, 4, CLONE[arch]],
    [LOAD, 0, 0, OFFSET.argument0],
    [ANY_BIT, 0, 1, CLONE_NEW],
    [RETURN, 0, 0, EPERM],
    [RETURN, 0, 0, ALLOW],
    [EQUAL, 0, 5, SOCKET[arch]],
    [LOAD, 0, 0, OFFSET.argument0],
    [EQUAL, 1, 0, AF_ALG],
    [EQUAL, 0, 1, AF_VSOCK],
    [RETURN, 0, 0, EPERM],
    [RETURN, 0, 0, ALLOW],
    [EQUAL, 0, 4, IOCTL[arch]],
    [LOAD, 0, 0, OFFSET.argument1],
    [EQUAL, 0, 1, TIOCSTI],
    [RETURN, 0, 0, EPERM],
    [RETURN, 0, 0, ALLOW],
    [RETURN, 0, 0, ALLOW],
  ];
  const bytes = Buffer.alloc(program.length * 8);
  for (const [index, [code, ifTrue, ifFalse, value]] of program.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(ifTrue, index * 8 + 2);
    bytes.writeUInt8(ifFalse, index * 8 + 3);
    bytes.writeUInt32LE(value, index * 8 + 4);
  }
  return bytes;
}

const NAMESPACE_FLAGS = Array.from({ length: 32 }, (_, bit) => 2 ** bit).filter(flag => (CLONE_NEW & flag) !== 0);

/** The same list in the words of the Open Container Initiative's config.json, which names system calls. */
export function ociSeccomp(): Record<string, unknown> {
  const refuse = { action: 'SCMP_ACT_ERRNO', errnoRet: 1 };
  const equal = (index: number, value: number) => ({ index, value, op: 'SCMP_CMP_EQ' });
  return {
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [
      { names: Object.keys(DENIED), ...refuse },
      { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: 38 },
      ...NAMESPACE_FLAGS.map(flag => ({
        names: ['clone'],
        ...refuse,
        args: [{ index: 0, value: flag, valueTwo: flag, op: 'SCMP_CMP_MASKED_EQ' }],
      })),
      ...[AF_ALG, AF_VSOCK].map(family => ({ names: ['socket'], ...refuse, args: [equal(0, family)] })),
      { names: ['ioctl'], ...refuse, args: [equal(1, TIOCSTI)] },
    ],
  };
}

/** Writes the filter of this machine; null where there is none for its architecture. */
export function writeSeccompFilter(path: string): string | null {
  if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64')) return null;
  writeFileSync(path, seccompFilter(process.arch), { mode: 0o644 });
  return path;
}
