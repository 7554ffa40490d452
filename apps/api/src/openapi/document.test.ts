import { describe, expect, test } from 'vitest';
import { endpoints } from '../endpoints.ts';
import { type Json, startTestApi } from '../fixtures.ts';
import { openApiDocument } from './document.ts';

interface Operation {
  operationId: string;
  parameters: Array<{ name: string; in: string; required: boolean; schema: object }>;
}
const document = openApiDocument(endpoints, { publicUrl: 'http://api.example', apiVersion: '3.0.0' }) as Json;
const operations = Object.entries<Record<string, Operation>>(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
);

describe('openApiDocument()', () => {
  test('lists every endpoint, and no other', () => {
    const listed = operations.map(({ method, path }) => `${method} ${path}`).sort();
    const served = endpoints.map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`).sort();
    expect(listed).toEqual(served);
  });

  test('says of each path what is in it', () => {
    const declared = operations.map(({ path, operation }) => ({
      path,
      names: operation.parameters
        .filter(parameter => parameter.in === 'path' && parameter.required)
        .map(({ name }) => name),
    }));
    expect(declared).toEqual(
      declared.map(({ path }) => ({ path, names: [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name) })),
    );
  });

  test('has operations of different names', () => {
    const names = operations.map(({ operation }) => operation.operationId);
    expect(new Set(names).size).toBe(names.length);
  });

  test('refers to nothing that is not in it', () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, target]) => target);
    const known = Object.keys(document.components.schemas).map(name => `#/components/schemas/${name}`);
    expect(new Set(references)).toEqual(new Set(known));
  });

  test('describes filters and bodies as they are checked', () => {
    const list = document.paths['/v3/organizations'].get.parameters as Operation['parameters'];
    expect(list.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['names', 'order_by', 'per_page', 'created_ats[gt]']),
    );
    const body = document.paths['/v3/organizations'].post.requestBody.content['application/json'].schema;
    expect(body).toMatchObject({ type: 'object', required: ['name'], additionalProperties: false });
  });

  test('is served to anyone at GET /v3/openapi.json', async () => {
    await using api = await startTestApi();
    const { status, body } = await api.api('GET', '/v3/openapi.json');
    expect(status).toBe(200);
    expect(body.openapi).toBe('3.1.0');
    expect(body.servers).toEqual([{ url: api.url }]);
    expect(body.paths['/v3/openapi.json'].get.summary).toBe('This document');
  });
});
