/** The row of one window: figures of many apps as one JSON text, out of which those of a few are read without reading the rest. */
import type { Figures } from '@cupola/model/metrics';

/** `r`: requests; `u`: CPU, memory in bytes, instances. No braces but those around each app. */
interface Written {
  r?: readonly number[];
  u?: readonly [cpu: number, memoryBytes: number, instances: number];
}

export function windowText(apps: ReadonlyMap<string, Figures>): string {
  return JSON.stringify(Object.fromEntries([...apps].map(([guid, figures]) => [guid, written(figures)])));
}

export function written({ requests, usage }: Figures): Written {
  return {
    ...(requests === null ? {} : { r: requests.map(rounded) }),
    ...(usage === null ? {} : { u: [rounded(usage.cpu), Math.round(usage.memoryBytes), usage.instances] }),
  };
}

/** A thousandth of a core, or of a ms, is more than anybody sees. */
const rounded = (number: number): number => Math.round(number * 1_000) / 1_000;

export function figuresOf({ r, u }: Written): Figures {
  return {
    requests: r ?? null,
    usage: u === undefined ? null : { cpu: u[0], memoryBytes: u[1], instances: u[2] },
  };
}

/** Null: nothing is known of that app there. */
export function readWindow(text: string, appGuid: string): Figures | null {
  const key = `${JSON.stringify(appGuid)}:{`;
  const at = text.indexOf(key);
  if (at < 0) return null;
  const from = at + key.length - 1;
  return figuresOf(JSON.parse(text.slice(from, text.indexOf('}', from) + 1)) as Written);
}

/** Of which apps something is known there. */
export function appsOf(text: string): string[] {
  return Object.keys(JSON.parse(text) as Record<string, unknown>);
}
