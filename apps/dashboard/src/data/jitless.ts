/** Imported before any schema is made: zod would else compile checks with `new Function`, which our policy refuses (and reports). */
import { z } from 'zod';

z.config({ jitless: true });
