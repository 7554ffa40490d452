/** What applying a manifest would change (CF: space_diff_manifest.rb). Manifests themselves are YAML and judged by the API. */
import { z } from 'zod';

export const manifestDiff = z.object({
  diff: z.array(
    z.object({
      op: z.enum(['add', 'replace', 'remove']),
      /** Into the manifest as sent: `/applications/0/memory`. */
      path: z.string(),
      was: z.unknown().optional(),
      value: z.unknown().optional(),
    }),
  ),
});
