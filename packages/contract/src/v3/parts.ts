/** What the shapes of many v3 resources share. Texts are Cloud Controller's own: whole sentences, so that clients that look for them find them. */
import { z } from 'zod';

/**
 * A body: unknown keys are refused with CF's words, on every level that uses it.
 * @param label what a part of a body is called in them: `Relationships`.
 */
export function body<Shape extends z.core.$ZodShape>(shape: Shape, label = '') {
  const subject = label === '' ? '' : `${label} `;
  return z.strictObject(shape, {
    error: issue =>
      issue.code === 'unrecognized_keys'
        ? `${subject}Unknown field(s): '${issue.keys.join("', '")}'`
        : `${subject}must be an object`,
  });
}

/** The name of an organization, space or quota: any text without control characters (CF: ORG_NAME_REGEX). */
export function entityName(max = 255) {
  return z
    .string({ error: issue => (issue.input === undefined ? "Name can't be blank" : 'Name must be a string') })
    .min(1, { error: "Name can't be blank", abort: true })
    .max(max, { error: `Name is too long (maximum is ${max} characters)` })
    .regex(/^[\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}]+$/u, { error: 'Name must not contain escaped characters' });
}

/** A whole number in words of CF: `Memory in mb must be greater than 0`. */
export function wholeNumber(label: string, { above, from, to }: { above?: number; from?: number; to?: number }) {
  return z
    .number({ error: `${label} is not a number` })
    .refine(Number.isSafeInteger, { error: `${label} must be an integer`, abort: true })
    .refine(value => above === undefined || value > above, { error: `${label} must be greater than ${above}` })
    .refine(value => from === undefined || value >= from, {
      error: `${label} must be greater than or equal to ${from}`,
    })
    .refine(value => to === undefined || value <= to, { error: `${label} must be less than or equal to ${to}` });
}

/** CF's own bound of its integer columns. */
export const INT_MAX = 2 ** 31 - 1;

/** `{"data": {"guid": "..."}}`, named in the message as CF does. */
export function toOne(name: string) {
  const error = `Relationships ${name} must be structured like this: "${name}: {"data": {"guid": "valid-guid"}}"`;
  const guid = z
    .string({ error })
    .min(1, { error: `Relationships ${name} guid must be between 1 and 200 characters` })
    .max(200, { error: `Relationships ${name} guid must be between 1 and 200 characters` });
  return z.object({ data: z.object({ guid }, { error }) }, { error });
}

/** `{"data": [{"guid": "..."}]}`. */
const manyError = 'Data must have the structure "data": [{"guid": shared_org_guid_1}, {"guid": shared_org_guid_2}]';
export const toMany = z.object(
  {
    data: z.array(z.object({ guid: z.string({ error: manyError }).min(1).max(200) }, { error: manyError }), {
      error: manyError,
    }),
  },
  { error: manyError },
);

/** Labels and annotations as they come; their keys and values are judged in one place of the API. Null removes. */
export const metadataBody = z.object(
  {
    labels: z
      .record(z.string(), z.unknown(), { error: "Metadata 'labels' is not an object" })
      .nullable()
      .exactOptional(),
    annotations: z
      .record(z.string(), z.unknown(), { error: "Metadata 'annotations' is not an object" })
      .nullable()
      .exactOptional(),
  },
  { error: 'Metadata must be an object' },
);

const link = z.object({ href: z.string(), method: z.string().exactOptional() });
export const links = z.record(z.string(), link);
export const relationship = z.object({ data: z.object({ guid: z.string() }).nullable() });
export const stamps = { guid: z.string(), created_at: z.iso.datetime(), updated_at: z.iso.datetime() };
export const metadata = z.object({
  labels: z.record(z.string(), z.string()),
  annotations: z.record(z.string(), z.string()),
});

const pageLink = z.object({ href: z.string() });
/** A list in CF's form: its page, with what was asked to be included. */
export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.object({
    pagination: z.object({
      total_results: z.number().int(),
      total_pages: z.number().int(),
      first: pageLink,
      last: pageLink,
      next: pageLink.nullable(),
      previous: pageLink.nullable(),
    }),
    resources: z.array(item),
    included: z.record(z.string(), z.array(z.unknown())).exactOptional(),
  });
}
