import type { Endpoint } from '../http/endpoint.ts';
import { bindingEndpoints } from './binding-endpoints.ts';
import { instanceEndpoints } from './instance-endpoints.ts';
import { sharedInstanceEndpoints } from './shared-space-endpoints.ts';

export const serviceEndpoints: Endpoint[] = [...instanceEndpoints, ...sharedInstanceEndpoints, ...bindingEndpoints];
