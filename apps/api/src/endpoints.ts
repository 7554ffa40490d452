/** Every endpoint of the public API. Routes, the OpenAPI document and the table of who may do what are made from this list. */
import type { Endpoint } from './http/endpoint.ts';
import { infoEndpoints } from './info/endpoints.ts';
import { uaaEndpoints } from './uaa/endpoints.ts';

export const endpoints: readonly Endpoint[] = [...infoEndpoints, ...uaaEndpoints];
