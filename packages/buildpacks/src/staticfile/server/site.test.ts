import { createServer, type IncomingHttpHeaders, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { afterEach, expect, test } from 'vitest';
import { aFolder, type TestFolder } from '../../fixtures.ts';
import { createSite, type SiteOptions } from './site.ts';

const PLAIN: Omit<SiteOptions, 'root'> = {
  hostDotFiles: false,
  directoryIndex: false,
  pushState: false,
  forceHttps: false,
  strictTransport: null,
  statusPages: {},
  passwords: null,
};
const LONG = 'body { color: red }\n'.repeat(100);
const FILES = {
  'index.html': '<h1>hi</h1>',
  'style.css': LONG,
  'data.bin': '0123456789',
  'docs/index.htm': 'docs',
  'void/x.txt': 'x',
  '.env': 'secret',
  '.well-known/a': 'a',
};

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

const open: Array<() => Promise<void>> = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

/** A server over a folder, and a way to ask it. */
async function serve(options: Partial<SiteOptions> = {}, files: Record<string, string> = FILES) {
  const folder: TestFolder = aFolder(files);
  const site = createSite({ ...PLAIN, root: folder.path, ...options });
  const server = createServer((incoming, response) => void site(incoming, response)).listen(0, '127.0.0.1');
  await new Promise(resolve => server.once('listening', resolve));
  open.push(async () => {
    server.closeAllConnections();
    await new Promise(resolve => server.close(resolve));
    folder[Symbol.dispose]();
  });
  const { port } = server.address() as AddressInfo;
  return (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    new Promise<Answer>((resolve, reject) => {
      request({ port, path, headers, method }, response => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
        );
      })
        .on('error', reject)
        .end();
    });
}

test('createSite() serves files with their type, and a folder by its index file', async () => {
  const ask = await serve();
  const page = await ask('/');
  expect({ status: page.status, type: page.headers['content-type'], body: String(page.body) }).toEqual({
    status: 200,
    type: 'text/html; charset=utf-8',
    body: '<h1>hi</h1>',
  });
  expect((await ask('/data.bin')).headers['content-type']).toBe('application/octet-stream');
  expect(String((await ask('/docs/')).body)).toBe('docs');
});

test('createSite() sends a folder without its slash there, with the query', async () => {
  const ask = await serve();
  expect(await ask('/docs?a=1')).toMatchObject({ status: 301, headers: { location: '/docs/?a=1' } });
});

test('createSite() answers HEAD without a body, and refuses other methods', async () => {
  const ask = await serve();
  const head = await ask('/data.bin', {}, 'HEAD');
  expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, '10', 0]);
  expect(await ask('/', {}, 'POST')).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } });
});

test('createSite() never leaves its folder', async () => {
  const ask = await serve();
  expect((await ask('/../../../etc/passwd')).status).toBe(400);
  expect((await ask('/%2e%2e/%2e%2e/etc/passwd')).status).toBe(400);
  expect((await ask('/..%2f..%2fetc/passwd')).status).toBe(400);
  expect((await ask('/%00')).status).toBe(400);
  expect((await ask('/%zz')).status).toBe(400);
});

test('createSite() hides dot files unless they are asked for', async () => {
  const hidden = await serve();
  const shown = await serve({ hostDotFiles: true });
  expect((await hidden('/.env')).status).toBe(404);
  expect((await hidden('/.well-known/a')).status).toBe(404);
  expect((await shown('/.well-known/a')).status).toBe(200);
});

test('createSite() answers 304 to a client that has the file, by tag or by time', async () => {
  const ask = await serve();
  const { headers } = await ask('/style.css');
  expect((await ask('/style.css', { 'if-none-match': headers.etag ?? '' })).status).toBe(304);
  expect((await ask('/style.css', { 'if-none-match': '"other"' })).status).toBe(200);
  expect((await ask('/style.css', { 'if-modified-since': headers['last-modified'] ?? '' })).status).toBe(304);
  expect((await ask('/style.css', { 'if-modified-since': 'Thu, 01 Jan 1970 00:00:00 GMT' })).status).toBe(200);
});

test('createSite() gives one tag to one content, whatever the time of the file', async () => {
  const one = await serve();
  const other = await serve({}, { ...FILES, 'extra.txt': '' });
  expect((await one('/data.bin')).headers.etag).toBe((await other('/data.bin')).headers.etag);
});

test('createSite() sends one range, or says that there is none', async () => {
  const ask = await serve();
  const part = await ask('/data.bin', { range: 'bytes=2-4' });
  expect([part.status, part.headers['content-range'], String(part.body)]).toEqual([206, 'bytes 2-4/10', '234']);
  expect(String((await ask('/data.bin', { range: 'bytes=-3' })).body)).toBe('789');
  expect(String((await ask('/data.bin', { range: 'bytes=7-' })).body)).toBe('789');
  expect(await ask('/data.bin', { range: 'bytes=10-' })).toMatchObject({
    status: 416,
    headers: { 'content-range': 'bytes */10' },
  });
  expect((await ask('/data.bin', { range: 'bytes=0-1,4-5' })).status).toBe(200);
  expect((await ask('/data.bin', { range: 'bytes=0-1', 'if-range': '"old"' })).status).toBe(200);
});

test('createSite() compresses text for clients that take it', async () => {
  const ask = await serve();
  const packed = await ask('/style.css', { 'accept-encoding': 'br, gzip' });
  expect([packed.headers['content-encoding'], packed.headers.vary]).toEqual(['gzip', 'Accept-Encoding']);
  expect(String(gunzipSync(packed.body))).toBe(LONG);
  expect((await ask('/style.css', { 'accept-encoding': 'gzip;q=0' })).headers['content-encoding']).toBeUndefined();
  expect((await ask('/data.bin', { 'accept-encoding': 'gzip' })).headers['content-encoding']).toBeUndefined();
});

test('createSite() with pushstate answers unknown paths with the first page', async () => {
  const ask = await serve({ pushState: true });
  expect(await ask('/some/where')).toMatchObject({ status: 200, body: Buffer.from('<h1>hi</h1>') });
  expect((await ask('/void/x.txt')).status).toBe(200);
});

test('createSite() answers errors with the pages of the app', async () => {
  const ask = await serve({ statusPages: { 404: '/docs/index.htm', '5xx': '/gone.html' } });
  const missing = await ask('/nowhere');
  expect([missing.status, String(missing.body)]).toEqual([404, 'docs']);
  expect(String((await ask('/void/')).body)).toContain('403 Forbidden');
});

test('createSite() lists folders only where that is on, and names as text', async () => {
  const listed = await serve({ directoryIndex: true }, { 'a/<b>.txt': '', 'a/c/d': '', 'a/.e': '' });
  const html = String((await listed('/a/')).body);
  expect(html).toContain('<a href="%3Cb%3E.txt">&#60;b&#62;.txt</a>');
  expect(html).toContain('<a href="c/">c/</a>');
  expect(html).not.toContain('.e');
  expect((await (await serve())('/void/')).status).toBe(403);
});

test('createSite() sends clients of plain HTTP to https', async () => {
  const ask = await serve({ forceHttps: true, strictTransport: 'max-age=1' });
  expect(await ask('/x?y', { host: 'inside', 'x-forwarded-host': 'site.example' })).toMatchObject({
    status: 301,
    headers: { location: 'https://site.example/x?y' },
  });
  expect(await ask('/', { 'x-forwarded-proto': 'https' })).toMatchObject({
    status: 200,
    headers: { 'strict-transport-security': 'max-age=1' },
  });
});

test('createSite() lets in who is in Staticfile.auth: MD5 of Apache, SHA-1', async () => {
  const ask = await serve({
    passwords: 'bob:$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/\nann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n',
  });
  const as = (name: string, password: string) =>
    ask('/', { authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}` });
  expect(await ask('/')).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Basic realm="Restricted"' } });
  expect((await as('bob', 'secret')).status).toBe(200);
  expect((await as('bob', 'Secret')).status).toBe(401);
  expect((await as('ann', 'password')).status).toBe(200);
  expect((await as('eve', 'password')).status).toBe(401);
});
