import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { API_VERSION } from '../info/endpoints.ts';

/** `GET /v3/openapi.json`: all of `others`, and itself. */
export function openApiEndpoints(others: readonly Endpoint[]): Endpoint[] {
  const own: Endpoint = endpoint({
    method: 'GET',
    path: '/v3/openapi.json',
    auth: 'anyone',
    summary: 'This document',
    handle: async ({ config }) => {
      // Loaded when asked for: start has no use for it.
      const { openApiDocument } = await import('./document.ts');
      const { publicUrl } = config;
      return { status: 200, body: openApiDocument([...others, own], { publicUrl, apiVersion: API_VERSION }) };
    },
  });
  return [own];
}
