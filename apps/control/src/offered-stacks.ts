import { internalGet } from './internal-call.ts';

/** What the cells of a running platform offer; empty while its API is away. */
export async function offeredStacks(data: string): Promise<Array<{ name: string; digest: string }>> {
  const answer = (await internalGet(data, '/internal/cells')) as {
    cells: Array<{ stacks: Array<{ name: string; digest: string }> }>;
  } | null;
  return answer?.cells.flatMap(({ stacks }) => stacks) ?? [];
}
