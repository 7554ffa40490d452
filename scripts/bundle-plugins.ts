/** What bundles of ours leave out of Node.js and of undici: for the programs of a checkout, and for npm's package of the CLI. */
import http from 'node:http';
import type { Plugin } from 'rolldown';

/**
 * undici's index loads all that it can do: fetch, WebSocket, caches, mocks, four fifths of it. Taken are the connections that we use, put together as the
 * index does it. A name that is missing here is an error of the build.
 */
export function plainUndici(): Plugin {
  const code = `import api from 'undici/lib/api/index.js';
import Dispatcher from 'undici/lib/dispatcher/dispatcher.js';
Object.assign(Dispatcher.prototype, api);
export { default as Agent } from 'undici/lib/dispatcher/agent.js';
export { default as Client } from 'undici/lib/dispatcher/client.js';
export { default as EnvHttpProxyAgent } from 'undici/lib/dispatcher/env-http-proxy-agent.js';
export { default as Pool } from 'undici/lib/dispatcher/pool.js';`;
  return {
    name: 'plain-undici',
    resolveId: { filter: { id: /^undici$/ }, handler: () => '\0undici' },
    load: { filter: { id: /^\0undici$/ }, handler: () => ({ code }) },
  };
}

/**
 * `import http from 'node:http'` reads every export of that module once, and for one of them (WebSocket) Node.js 24 loads its own copy of undici: 40 ms and
 * 3 MB for each process. Taken without the exports that are made when asked for, it does not.
 */
export function plainHttp(): Plugin {
  const names = Object.entries(Object.getOwnPropertyDescriptors(http))
    .filter(([, descriptor]) => 'value' in descriptor)
    .map(([name]) => name);
  const code = `const http = process.getBuiltinModule('node:http');
export default http;
export const { ${names.join(', ')} } = http;`;
  return {
    name: 'plain-http',
    resolveId: {
      filter: { id: /^node:http$/ },
      handler: (_, importer, { kind }) => (kind === 'import-statement' && importer !== undefined ? '\0http' : null),
    },
    // Named by what is used of it only.
    load: { filter: { id: /^\0http$/ }, handler: () => ({ code, moduleSideEffects: false }) },
  };
}
