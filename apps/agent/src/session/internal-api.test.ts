import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createInternalApi } from './internal-api.ts';

test('what the API says of a refusal stands in the error: it may name what the operator is to do', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-internal-api-'));
  const socketPath = join(folder, 'api.sock');
  const server = http.createServer((request, response) => {
    request.resume();
    response.writeHead(403).end(JSON.stringify({ errors: [{ detail: 'join again' }] }));
  });
  server.listen(socketPath);
  await once(server, 'listening');
  const api = createInternalApi({ socketPath });
  const watch = { over: 'watch', silenceMs: 5_000, signal: new AbortController().signal } as const;
  await expect(api.post('/internal/cells', {})).rejects.toThrow(/403 to POST \/internal\/cells: .*join again/);
  await expect(api.stream('/internal/cells/c/watch', watch)).rejects.toThrow(/403 to GET .*join again/);
  await api.close();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});
