/** Droplets that are somebody's image. */
import type { Kysely } from 'kysely';
import { addColumns } from './make-tables.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  await addColumns(db, 'droplets', { docker_image: 'text?', image_config_json: 'text?' });
}
