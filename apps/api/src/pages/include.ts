import { z } from 'zod';

/** `include=a,b`, each of them once and one of `names` (CF: IncludeParamValidator). */
export function includeList(...names: string[]) {
  return z
    .string()
    .transform(text => text.split(','))
    .superRefine((asked, context) => {
      for (const [index, name] of asked.entries()) {
        if (!names.includes(name))
          context.addIssue({
            code: 'custom',
            message: `Invalid included resource: '${name}'. Valid included resources are: '${names.join("', '")}'`,
          });
        else if (asked.indexOf(name) !== index)
          context.addIssue({ code: 'custom', message: `Duplicate included resource: '${name}'` });
      }
    });
}
