import { expect, test } from 'vitest';
import { parse } from './listening.ts';

const TCP = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  2000        0 111 1 0000000000000000 100 0 0 10 0
   1: 00000000:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000  2000        0 222 1 0000000000000000 100 0 0 10 0
   2: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000  2000        0 333 1 0000000000000000 100 0 0 10 0
`;
const TCP6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 444 1 0
   1: 00000000000000000000000001000000:1F92 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 555 1 0
   2: 0000000000000000FFFF00000100007F:1F93 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 666 1 0
`;

test('parse() finds who listens, and whether on loopback only', () => {
  expect(parse(TCP)).toEqual([
    { port: 8080, loopbackOnly: true, inode: '111' },
    { port: 3000, loopbackOnly: false, inode: '222' },
  ]);
  expect(parse(TCP6)).toEqual([
    { port: 8081, loopbackOnly: false, inode: '444' },
    { port: 8082, loopbackOnly: true, inode: '555' },
    { port: 8083, loopbackOnly: true, inode: '666' },
  ]);
  expect(parse('')).toEqual([]);
});
