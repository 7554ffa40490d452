/**
 * Requests on the wire that two HTTP parsers could read differently (threats.md 15, 17, 18). Refused ones: an answer with `Connection: close`, the connection
 * ends, the request that rides behind is never answered, the backend gets not one byte. Accepted ones: the backend gets exactly these bytes.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { aRouter, type Peer, raw, rawBackend, routeTo, type TestRouter } from './fixtures.ts';

const HOST = 'Host: app.localhost\r\n';
const RIDER = `GET /rider HTTP/1.1\r\n${HOST}\r\n`;
const get = (headers: string, line = 'GET / HTTP/1.1'): string => `${line}\r\n${headers}\r\n`;
const post = (headers: string, body = ''): string => `POST / HTTP/1.1\r\n${headers}\r\n${body}`;
const chunked = (body: string, encoding = 'Transfer-Encoding: chunked'): string => post(`${HOST}${encoding}\r\n`, body);

/** Name, bytes, status. */
const REFUSED: [string, string, number?][] = [
  // Two ways to tell the body's length.
  ['CL and TE', post(`${HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n`, '0\r\n\r\n')],
  ['TE and CL', post(`${HOST}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n`, '0\r\n\r\n')],
  ['TE and CL 0', post(`${HOST}Transfer-Encoding: chunked\r\nContent-Length: 0\r\n`, '0\r\n\r\n')],
  ['CL and TE in other case', post(`${HOST}content-length: 5\r\nTRANSFER-ENCODING: chunked\r\n`, '0\r\n\r\n')],
  ['GET with CL and TE', get(`${HOST}Content-Length: 0\r\nTransfer-Encoding: chunked\r\n`)],
  ['two CL, equal', post(`${HOST}Content-Length: 5\r\nContent-Length: 5\r\n`, 'hello')],
  ['two CL, different', post(`${HOST}Content-Length: 5\r\nContent-Length: 6\r\n`, 'hello!')],
  ['two CL, other case', post(`${HOST}Content-Length: 5\r\ncontent-length: 5\r\n`, 'hello')],
  ['two CL, apart', post(`${HOST}Content-Length: 5\r\nX-A: b\r\nContent-Length: 0\r\n`, 'hello')],
  ['CL list', post(`${HOST}Content-Length: 5, 5\r\n`, 'hello')],
  ['CL list of two', post(`${HOST}Content-Length: 5,6\r\n`, 'hello')],
  ['CL with plus', post(`${HOST}Content-Length: +5\r\n`, 'hello')],
  ['CL with minus', post(`${HOST}Content-Length: -5\r\n`, 'hello')],
  ['CL in hex', post(`${HOST}Content-Length: 0x5\r\n`, 'hello')],
  ['CL with fraction', post(`${HOST}Content-Length: 5.0\r\n`, 'hello')],
  ['CL with exponent', post(`${HOST}Content-Length: 5e0\r\n`, 'hello')],
  ['CL with blank inside', post(`${HOST}Content-Length: 1 5\r\n`, 'hello')],
  ['CL with underscore', post(`${HOST}Content-Length: 1_0\r\n`, 'hello')],
  ['CL empty', post(`${HOST}Content-Length:\r\n`, 'hello')],
  ['CL blank', post(`${HOST}Content-Length: \t\r\n`, 'hello')],
  ['CL word', post(`${HOST}Content-Length: five\r\n`, 'hello')],
  ['CL quoted', post(`${HOST}Content-Length: "5"\r\n`, 'hello')],
  ['CL over 64 bits', post(`${HOST}Content-Length: 18446744073709551621\r\n`, 'hello')],
  ['CL over 53 bits', post(`${HOST}Content-Length: 9007199254740993\r\n`, 'hello')],
  ['CL with NUL', post(`${HOST}Content-Length: 5\0\r\n`, 'hello')],
  ['CL with vertical tab', post(`${HOST}Content-Length: \v5\r\n`, 'hello')],
  ['CL with form feed', post(`${HOST}Content-Length: 5\f\r\n`, 'hello')],
  ['CL with no-break space', post(`${HOST}Content-Length: \xa05\r\n`, 'hello')],
  ['CL with semicolon', post(`${HOST}Content-Length: 5;a\r\n`, 'hello')],
  // Transfer codings.
  ['TE gzip, chunked', chunked('0\r\n\r\n', 'Transfer-Encoding: gzip, chunked')],
  ['TE chunked, gzip', chunked('0\r\n\r\n', 'Transfer-Encoding: chunked, gzip')],
  ['TE chunked, chunked', chunked('0\r\n\r\n', 'Transfer-Encoding: chunked, chunked')],
  ['TE chunked, identity', chunked('0\r\n\r\n', 'Transfer-Encoding: chunked, identity')],
  ['TE identity', chunked('', 'Transfer-Encoding: identity')],
  ['TE identity, chunked', chunked('0\r\n\r\n', 'Transfer-Encoding: identity, chunked')],
  ['TE gzip', chunked('', 'Transfer-Encoding: gzip')],
  ['TE twice', chunked('0\r\n\r\n', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked')],
  ['TE twice, other value', chunked('0\r\n\r\n', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: x')],
  ['TE twice, first other', chunked('0\r\n\r\n', 'Transfer-Encoding: x\r\nTransfer-Encoding: chunked')],
  ['TE empty', chunked('0\r\n\r\n', 'Transfer-Encoding:')],
  ['TE quoted', chunked('0\r\n\r\n', 'Transfer-Encoding: "chunked"')],
  ['TE in brackets', chunked('0\r\n\r\n', 'Transfer-Encoding: (chunked)')],
  ['TE with parameter', chunked('0\r\n\r\n', 'Transfer-Encoding: chunked;q=1')],
  ['TE xchunked', chunked('0\r\n\r\n', 'Transfer-Encoding: xchunked')],
  ['TE chunkedx', chunked('0\r\n\r\n', 'Transfer-Encoding: chunkedx')],
  ['TE chunk', chunked('0\r\n\r\n', 'Transfer-Encoding: chunk')],
  ['TE with vertical tab', chunked('0\r\n\r\n', 'Transfer-Encoding: \vchunked')],
  ['TE with form feed after', chunked('0\r\n\r\n', 'Transfer-Encoding: chunked\f')],
  ['TE with NUL', chunked('0\r\n\r\n', 'Transfer-Encoding: chunked\0')],
  ['TE with high byte', chunked('0\r\n\r\n', 'Transfer-Encoding: \xffchunked')],
  ['TE with comma before', chunked('0\r\n\r\n', 'Transfer-Encoding: ,chunked')],
  ['TE with comma behind', chunked('0\r\n\r\n', 'Transfer-Encoding: chunked,')],
  ['TE with blank before the colon', chunked('0\r\n\r\n', 'Transfer-Encoding : chunked')],
  ['TE with tab before the colon', chunked('0\r\n\r\n', 'Transfer-Encoding\t: chunked')],
  ['TE folded', chunked('0\r\n\r\n', 'Transfer-Encoding:\r\n chunked')],
  ['TE folded by tab', chunked('0\r\n\r\n', 'Transfer-Encoding:\r\n\tchunked')],
  ['TE after a bare LF', chunked('0\r\n\r\n', 'X-A: b\nTransfer-Encoding: chunked')],
  ['TE after a bare CR', chunked('0\r\n\r\n', 'X-A: b\rTransfer-Encoding: chunked')],
  ['TE in HTTP/1.0', `POST / HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  // Chunks.
  ['chunk size with plus', chunked('+5\r\nhello\r\n0\r\n\r\n')],
  ['chunk size with minus', chunked('-5\r\nhello\r\n0\r\n\r\n')],
  ['chunk size with 0x', chunked('0x5\r\nhello\r\n0\r\n\r\n')],
  ['chunk size with underscore', chunked('1_0\r\nhello\r\n0\r\n\r\n')],
  ['chunk size with blank', chunked('5 \r\nhello\r\n0\r\n\r\n')],
  ['chunk size with blank before', chunked(' 5\r\nhello\r\n0\r\n\r\n')],
  ['chunk size with tab', chunked('5\t\r\nhello\r\n0\r\n\r\n')],
  ['chunk size empty', chunked('\r\nhello\r\n0\r\n\r\n')],
  ['chunk size no hex', chunked('g\r\nhello\r\n0\r\n\r\n')],
  ['chunk size over 64 bits', chunked('10000000000000005\r\nhello\r\n0\r\n\r\n')],
  ['chunk size ended by LF', chunked('5\nhello\r\n0\r\n\r\n')],
  ['chunk size ended by CR', chunked('5\rhello\r\n0\r\n\r\n')],
  ['chunk data ended by LF', chunked('5\r\nhello\n0\r\n\r\n')],
  ['chunk data ended by CR', chunked('5\r\nhello\r0\r\n\r\n')],
  ['chunk longer than its size', chunked('3\r\nhello\r\n0\r\n\r\n')],
  ['chunk without its end', chunked('5\r\nhelloX0\r\n\r\n')],
  ['chunk extension with LF', chunked('5;a\nb\r\nhello\r\n0\r\n\r\n')],
  ['chunk extension with NUL', chunked('5;a\0\r\nhello\r\n0\r\n\r\n')],
  ['chunk with NUL', chunked('5\0\r\nhello\r\n0\r\n\r\n')],
  ['last chunk ended by LF', chunked('5\r\nhello\r\n0\n\n')],
  ['trailer with CL', chunked('5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n')],
  ['trailer folded', chunked('5\r\nhello\r\n0\r\nX-A: b\r\n c\r\n\r\n')],
  ['trailer with bare LF', chunked('5\r\nhello\r\n0\r\nX-A: b\n\r\n')],
  // Line ends and blanks.
  ['folded header', get(`${HOST}X-A: b\r\n c\r\n`)],
  ['folded by tab', get(`${HOST}X-A: b\r\n\tc\r\n`)],
  ['folded, empty first line', get(`${HOST}X-A:\r\n b\r\n`)],
  ['first header folded', get(` X-A: b\r\n${HOST}`)],
  ['blank line with a blank', get(`${HOST}X-A: b\r\n \r\n`)],
  ['bare LF after a header', get(`${HOST}X-A: b\nX-B: c\r\n`)],
  ['bare LF after the first line', `GET / HTTP/1.1\n${HOST}\r\n`],
  ['bare LF at the end', `GET / HTTP/1.1\r\n${HOST}\n`],
  ['bare LF everywhere', 'GET / HTTP/1.1\nHost: app.localhost\n\n'],
  ['bare CR in a header', get(`${HOST}X-A: b\rX-B: c\r\n`)],
  ['bare CR before CRLF', get(`${HOST}X-A: b\r\r\n`)],
  ['LF CR', get(`${HOST}X-A: b\n\rX-B: c\r\n`)],
  ['NUL in a value', get(`${HOST}X-A: b\0c\r\n`)],
  ['control character in a value', get(`${HOST}X-A: b\x01c\r\n`)],
  ['DEL in a value', get(`${HOST}X-A: b\x7fc\r\n`)],
  ['escape in a value', get(`${HOST}X-A: \x1b[31m\r\n`)],
  ['blank before the colon', get(`${HOST}X-A : b\r\n`)],
  ['tab before the colon', get(`${HOST}X-A\t: b\r\n`)],
  ['blank in a name', get(`${HOST}X A: b\r\n`)],
  ['empty name', get(`${HOST}: b\r\n`)],
  ['no colon', get(`${HOST}X-A\r\n`)],
  ['NUL in a name', get(`${HOST}X\0A: b\r\n`)],
  ['high byte in a name', get(`${HOST}X-\xe4: b\r\n`)],
  ['bracket in a name', get(`${HOST}X[A]: b\r\n`)],
  ['CL with blank before the colon', post(`${HOST}Content-Length : 5\r\n`, 'hello')],
  // First line.
  ['tab in the first line', get(HOST, 'GET\t/\tHTTP/1.1')],
  ['blank behind the version', get(HOST, 'GET / HTTP/1.1 ')],
  ['words behind the version', get(HOST, 'GET / HTTP/1.1 X')],
  ['blank in the path', get(HOST, 'GET /a b HTTP/1.1')],
  ['control character in the path', get(HOST, 'GET /a\x01b HTTP/1.1')],
  ['NUL in the path', get(HOST, 'GET /a\0b HTTP/1.1')],
  ['DEL in the path', get(HOST, 'GET /a\x7fb HTTP/1.1')],
  ['high byte in the path', get(HOST, 'GET /\xe4 HTTP/1.1')],
  ['fragment in the path', get(HOST, 'GET /a#b HTTP/1.1')],
  ['path without a slash', get(HOST, 'GET app HTTP/1.1')],
  ['asterisk', get(HOST, 'OPTIONS * HTTP/1.1')],
  ['CONNECT', get(HOST, 'CONNECT app.localhost:80 HTTP/1.1')],
  ['lower-case method', get(HOST, 'get / HTTP/1.1')],
  ['unknown method', get(HOST, 'SMUGGLE / HTTP/1.1')],
  ['method with a NUL', get(HOST, 'G\0T / HTTP/1.1')],
  ['HTTP/1.2', get(HOST, 'GET / HTTP/1.2')],
  ['HTTP/2.0', get(HOST, 'GET / HTTP/2.0')],
  ['HTTP/0.9', get(HOST, 'GET / HTTP/0.9')],
  ['HTTP/1.10', get(HOST, 'GET / HTTP/1.10')],
  ['http in lower case', get(HOST, 'GET / http/1.1')],
  ['no version', 'GET /\r\n\r\n'],
  ['HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['TLS hello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ['nothing but noise', '\xff\xfe\xfd\xfc\r\n\r\n'],
  // Hosts.
  ['no Host', get('')],
  ['no Host, HTTP/1.0', get('', 'GET / HTTP/1.0')],
  ['empty Host', get('Host:\r\n')],
  ['Host of a port only', get('Host: :80\r\n')],
  ['two Hosts, equal', get(`${HOST}${HOST}`)],
  ['two Hosts, different', get(`${HOST}Host: other.localhost\r\n`)],
  ['two Hosts, other case', get(`${HOST}HOST: app.localhost\r\n`)],
  ['Host list', get('Host: app.localhost, other.localhost\r\n')],
  ['Host with user', get('Host: x@app.localhost\r\n')],
  ['Host with path', get('Host: app.localhost/x\r\n')],
  ['Host with scheme', get('Host: http://app.localhost\r\n')],
  ['Host with blank', get('Host: app .localhost\r\n')],
  ['Host with bad port', get('Host: app.localhost:80x\r\n')],
  ['Host with two ports', get('Host: app.localhost:80:81\r\n')],
  ['Host with two dots behind', get('Host: app.localhost..\r\n')],
  ['Host with empty label', get('Host: app..localhost\r\n')],
  ['Host with dot before', get('Host: .app.localhost\r\n')],
  ['Host with an asterisk', get('Host: *.localhost\r\n')],
  ['Host with a percent escape', get('Host: app%2elocalhost\r\n')],
  ['Host with a high byte', get('Host: \xe4pp.localhost\r\n')],
  ['Host with quote', get('Host: "app.localhost"\r\n')],
  ['Host folded', get('Host:\r\n app.localhost\r\n')],
  ['Host is IPv4', get('Host: 127.0.0.1:8080\r\n')],
  ['Host is a decimal address', get('Host: 2130706433\r\n')],
  ['Host is a hex address', get('Host: 0x7f000001\r\n')],
  ['Host is a short address', get('Host: 127.1\r\n')],
  ['Host is IPv6', get('Host: [::1]:8080\r\n')],
  ['Host is half an IPv6', get('Host: [::1\r\n')],
  ['Host of 300 characters', get(`Host: ${'a'.repeat(300)}.localhost\r\n`)],
  ['absolute form of another host', get(HOST, 'GET http://other.localhost/ HTTP/1.1')],
  ['absolute form with user', get(HOST, 'GET http://x@app.localhost/ HTTP/1.1')],
  ['absolute form of another port', get(HOST, 'GET http://app.localhost:81/ HTTP/1.1')],
  ['absolute form of another scheme', get(HOST, 'GET file:///etc/passwd HTTP/1.1')],
  ['absolute form without host', get(HOST, 'GET http:/// HTTP/1.1')],
  // More headers of which one contradicts the other.
  ['two app selectors', get(`${HOST}X-CF-App-Instance: a:0\r\nX-CF-App-Instance: a:1\r\n`)],
  ['two Expect', post(`${HOST}Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 5\r\n`, 'hello')],
  // Too much.
  ['201 headers', get(`${HOST}${'X-A: b\r\n'.repeat(200)}`), 431],
  ['headers over 128 KiB', get(`${HOST}X-A: ${'b'.repeat(130 * 1024)}\r\n`), 431],
  ['path over 128 KiB', get(HOST, `GET /${'a'.repeat(130 * 1024)} HTTP/1.1`), 431],
];

const OURS = /^(?:X-Request-Start|X-Vcap-Request-Id): .*\r\n/gim;
const TAIL =
  'X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-CF-ApplicationId: app-1\r\nX-CF-InstanceId: copy-0\r\nX-CF-InstanceIndex: 0\r\n';
const seen = (line: string, headers = '', framing = '', body = ''): string =>
  `${line}\r\nHost: app.localhost\r\n${headers}${TAIL}${framing}\r\n${body}`;

/** Name, bytes, what the backend gets (but for request id and start). */
const ACCEPTED: [string, string, string][] = [
  ['plain', get(HOST), seen('GET / HTTP/1.1')],
  ['empty lines before', `\r\n\r\n${get(HOST)}`, seen('GET / HTTP/1.1')],
  ['HTTP/1.0', get(HOST, 'GET / HTTP/1.0'), seen('GET / HTTP/1.1')],
  ['absolute form of the same host', get(HOST, 'GET http://app.localhost/a?b HTTP/1.1'), seen('GET /a?b HTTP/1.1')],
  ['absolute form without path', get(HOST, 'GET http://APP.localhost?b HTTP/1.1'), seen('GET /?b HTTP/1.1')],
  [
    'path as it is',
    get(HOST, 'GET /a/../b//c%2F%00?x=%0d%0a HTTP/1.1'),
    seen('GET /a/../b//c%2F%00?x=%0d%0a HTTP/1.1'),
  ],
  [
    'header names keep their case',
    get(`${HOST}x-LOWER-Upper: Value\r\n`),
    seen('GET / HTTP/1.1', 'x-LOWER-Upper: Value\r\n'),
  ],
  ['blanks around a value', get(`${HOST}X-A: \t b c \t\r\n`), seen('GET / HTTP/1.1', 'X-A: b c\r\n')],
  ['high bytes in a value', get(`${HOST}X-A: \xe4\xff\r\n`), seen('GET / HTTP/1.1', 'X-A: \xe4\xff\r\n')],
  ['empty value', get(`${HOST}X-A:\r\n`), seen('GET / HTTP/1.1', 'X-A: \r\n')],
  ['repeated header', get(`${HOST}X-A: b\r\nX-A: c\r\n`), seen('GET / HTTP/1.1', 'X-A: b\r\nX-A: c\r\n')],
  [
    'length',
    post(`${HOST}Content-Length: 5\r\n`, 'hello'),
    seen('POST / HTTP/1.1', '', 'Content-Length: 5\r\n', 'hello'),
  ],
  [
    'length with zeros before',
    post(`${HOST}Content-Length: 005\r\n`, 'hello'),
    seen('POST / HTTP/1.1', '', 'Content-Length: 5\r\n', 'hello'),
  ],
  ['length 0', post(`${HOST}Content-Length: 0\r\n`), seen('POST / HTTP/1.1', '', 'Content-Length: 0\r\n')],
  ['no length', post(HOST), seen('POST / HTTP/1.1', '', 'Content-Length: 0\r\n')],
  [
    'chunks',
    chunked('5\r\nhello\r\n0\r\n\r\n'),
    seen('POST / HTTP/1.1', '', 'Transfer-Encoding: chunked\r\n', '5\r\nhello\r\n0\r\n\r\n'),
  ],
  [
    'chunk size with zeros',
    chunked('00005\r\nhello\r\n00\r\n\r\n'),
    seen('POST / HTTP/1.1', '', 'Transfer-Encoding: chunked\r\n', '5\r\nhello\r\n0\r\n\r\n'),
  ],
  [
    'chunk size in upper case',
    chunked('A\r\nhellohello\r\n0\r\n\r\n'),
    seen('POST / HTTP/1.1', '', 'Transfer-Encoding: chunked\r\n', 'a\r\nhellohello\r\n0\r\n\r\n'),
  ],
  [
    'chunk extension',
    chunked('5;a=b\r\nhello\r\n0\r\n\r\n'),
    seen('POST / HTTP/1.1', '', 'Transfer-Encoding: chunked\r\n', '5\r\nhello\r\n0\r\n\r\n'),
  ],
  [
    'trailer',
    chunked('5\r\nhello\r\n0\r\nX-A: b\r\n\r\n'),
    seen('POST / HTTP/1.1', '', 'Transfer-Encoding: chunked\r\n', '5\r\nhello\r\n0\r\n\r\n'),
  ],
  [
    'chunked in other case',
    chunked('5\r\nhello\r\n0\r\n\r\n', 'Transfer-Encoding: cHuNkEd'),
    seen('POST / HTTP/1.1', '', 'Transfer-Encoding: chunked\r\n', '5\r\nhello\r\n0\r\n\r\n'),
  ],
  [
    'hop-by-hop headers end here',
    get(
      `${HOST}Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\nProxy-Authorization: x\r\nX-A: b\r\n`,
    ),
    seen('GET / HTTP/1.1', 'X-A: b\r\n'),
  ],
  [
    'headers that Connection names end here',
    get(`${HOST}Connection: X-A, x-b\r\nX-A: b\r\nX-B: c\r\nX-C: d\r\n`),
    seen('GET / HTTP/1.1', 'X-C: d\r\n'),
  ],
  [
    'Connection cannot take our headers away',
    get(`${HOST}Connection: X-Forwarded-For, X-CF-ApplicationId, Host\r\n`),
    seen('GET / HTTP/1.1'),
  ],
  [
    'Connection cannot take the length away',
    post(`${HOST}Connection: Content-Length\r\nContent-Length: 5\r\n`, 'hello'),
    seen('POST / HTTP/1.1', '', 'Content-Length: 5\r\n', 'hello'),
  ],
  [
    'forged platform headers',
    get(
      `${HOST}X-CF-ApplicationID: v\r\nx-cf-instanceid: v\r\nX-Cf-Anything: v\r\nX-Vcap-Request-Id: v\r\nX-Forwarded-Client-Cert: v\r\n`,
    ),
    seen('GET / HTTP/1.1'),
  ],
  [
    'forged with underscores',
    get(
      `${HOST}X_CF_ApplicationID: v\r\nX_Forwarded_For: v\r\nX-Vcap_Request-Id: v\r\nTransfer_Encoding: chunked\r\nContent_Length: 9\r\n`,
    ),
    seen('GET / HTTP/1.1'),
  ],
  [
    'forged forwarding headers',
    get(
      `${HOST}X-Forwarded-For: 8.8.8.8\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: v\r\nForwarded: for=v\r\nX-Real-IP: v\r\nX-Request-Start: 1\r\n`,
    ),
    seen('GET / HTTP/1.1'),
  ],
  [
    'h2c upgrade is no upgrade',
    get(`${HOST}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n`),
    seen('GET / HTTP/1.1'),
  ],
  [
    'upgrade with a body is no upgrade',
    `GET / HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\nhello`,
    `GET / HTTP/1.1\r\nHost: app.localhost\r\n${TAIL}Connection: close\r\nContent-Length: 5\r\n\r\nhello`,
  ],
  [
    'upgrade of a POST is no upgrade',
    post(`${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n`, 'hello'),
    seen('POST / HTTP/1.1', '', 'Content-Length: 5\r\n', 'hello'),
  ],
  [
    'GET with a body',
    `GET / HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`,
    `GET / HTTP/1.1\r\nHost: app.localhost\r\n${TAIL}Connection: close\r\nContent-Length: 5\r\n\r\nhello`,
  ],
  [
    'host with port, dot and case',
    get('Host: APP.Localhost.:8080\r\n'),
    `GET / HTTP/1.1\r\nHost: APP.Localhost.:8080\r\n${TAIL}\r\n`,
  ],
  ['200 headers', get(`${HOST}${'X-A: b\r\n'.repeat(199)}`), seen('GET / HTTP/1.1', 'X-A: b\r\n'.repeat(199))],
];

describe('a request that could be read in two ways', () => {
  let router: TestRouter;
  let backend: Peer;
  let got = '';
  beforeAll(async () => {
    backend = await rawBackend(socket => {
      let text = '';
      socket.on('data', chunk => {
        got += chunk.toString('latin1');
        text += chunk.toString('latin1');
        if (isWhole(text)) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok');
      });
    });
    router = await aRouter([routeTo([backend.port])], { settings: { headersTimeoutMs: 20_000, keepAliveMs: 500 } });
  });
  afterAll(async () => {
    await router[Symbol.asyncDispose]();
    await backend[Symbol.asyncDispose]();
  });

  test.each(REFUSED)('is refused: %s', async (_name, bytes, status = 400) => {
    got = '';
    const answer = await raw(router.port, bytes + RIDER);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer).toMatch(/\r\nX-Cf-RouterError: (?:bad_request|empty_host|max-request-size-exceeded)\r\n/);
    expect(answer.split('HTTP/1.1 ').length - 1, 'nothing that rides behind is answered').toBe(1);
    expect(got).toBe('');
  });

  test.each(ACCEPTED)('is rebuilt: %s', async (_name, bytes, expected) => {
    got = '';
    const answer = await raw(router.port, bytes, /\r\n\r\nok$|\r\nok\r\n0\r\n\r\n$/);
    expect(answer).toMatch(/^HTTP\/1.1 200 OK/);
    expect(got.replace(OURS, '')).toBe(expected);
  });
});

/** Whether a raw request is there with its body. */
function isWhole(text: string): boolean {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return false;
  const length = /\r\ncontent-length: (\d+)\r\n/i.exec(text.slice(0, end + 2))?.[1];
  if (length !== undefined) return text.length >= end + 4 + Number(length);
  return !/\r\ntransfer-encoding: chunked\r\n/i.test(text.slice(0, end + 2)) || text.endsWith('0\r\n\r\n');
}
