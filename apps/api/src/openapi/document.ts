/**
 * The OpenAPI 3.1 document, made of the endpoints and their zod schemas: what is checked at the door is what is written here. Made at the first request
 * for it, since nothing else needs it.
 */
import { z } from 'zod';
import type { Endpoint } from '../http/endpoint.ts';

type Json = Record<string, unknown>;

const CF_ERRORS = {
  type: 'object',
  properties: {
    errors: {
      type: 'array',
      items: {
        type: 'object',
        properties: { code: { type: 'integer' }, title: { type: 'string' }, detail: { type: 'string' } },
        required: ['code', 'title', 'detail'],
      },
    },
  },
  required: ['errors'],
};
const UAA_ERROR = {
  type: 'object',
  properties: { error: { type: 'string' }, error_description: { type: 'string' } },
  required: ['error'],
};

const BODY_TYPES: Partial<Record<Endpoint['body'], string>> = {
  json: 'application/json',
  yaml: 'application/x-yaml',
  form: 'application/x-www-form-urlencoded',
  multipart: 'multipart/form-data',
  stream: 'application/octet-stream',
};

export function openApiDocument(
  endpoints: readonly Endpoint[],
  { publicUrl, apiVersion }: { publicUrl: string; apiVersion: string },
): Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const endpoint of endpoints) {
    const path = endpoint.path.replace(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [endpoint.method.toLowerCase()]: operation(endpoint) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Cupola: Cloud Foundry API',
      version: apiVersion,
      description: 'The Cloud Foundry v3 API, with the parts of UAA and log-cache that its clients use.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: publicUrl }],
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
      schemas: { CfErrors: CF_ERRORS, UaaError: UAA_ERROR },
    },
  };
}

function operation(endpoint: Endpoint): Json {
  const body = requestBody(endpoint);
  return {
    operationId: operationId(endpoint),
    summary: endpoint.summary,
    tags: [tag(endpoint.path)],
    security: endpoint.auth === 'anyone' ? [] : [{ bearer: [] }],
    parameters: [...pathParameters(endpoint.path), ...queryParameters(endpoint)],
    ...(body === null ? {} : { requestBody: body }),
    responses: responses(endpoint),
  };
}

/** `GET /v3/apps/:guid` -> `get_v3_apps_guid`: there is one of each method and path. */
function operationId({ method, path }: Endpoint): string {
  const words = path.match(/[\w-]+/g) ?? ['root'];
  return [method.toLowerCase(), ...words].join('_').replaceAll('-', '_');
}

function tag(path: string): string {
  const [first = 'root', second] = path.match(/[\w-]+/g) ?? [];
  return first === 'v3' ? (second ?? 'root') : first;
}

function pathParameters(path: string): Json[] {
  return [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
}

function queryParameters({ querySchema }: Endpoint): Json[] {
  if (querySchema === null) return [];
  const { properties = {}, required = [] } = jsonSchema(querySchema, 'input') as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }));
}

function requestBody({ body, bodySchema }: Endpoint): Json | null {
  const type = BODY_TYPES[body];
  if (type === undefined) return null;
  const schema = bodySchema === null ? {} : jsonSchema(bodySchema, 'input');
  return { content: { [type]: { schema } } };
}

function responses({ responseSchema, failures, method }: Endpoint): Json {
  const schema = responseSchema === null ? {} : jsonSchema(responseSchema, 'output');
  const error = { $ref: `#/components/schemas/${failures === 'uaa' ? 'UaaError' : 'CfErrors'}` };
  return {
    '2XX': {
      description: method === 'DELETE' ? 'Done, or accepted: Location names a job' : 'Done',
      ...(responseSchema === null ? {} : { content: { 'application/json': { schema } } }),
    },
    default: { description: 'Refused', content: { 'application/json': { schema: error } } },
  };
}

/** Without `$schema`: OpenAPI 3.1 is draft 2020-12 all through. What JSON Schema cannot say (a transform's result) is any value. */
function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _draft, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any', reused: 'inline' });
  return rest;
}
