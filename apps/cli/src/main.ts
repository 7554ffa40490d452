/** The CLI's door: every failure ends here, in words and with an exit code. What says them is loaded when there is one. */
import { EXIT } from '@cupola/push/exit-codes';
import { CommanderError } from 'commander';
import { createProgram } from './program.ts';
import { usageText } from './usage-text.ts';

const COLUMNS_USUAL = 80;

/** Says what went wrong and what to do next. Null means a bug: shown whole. */
async function report(error: unknown, json: boolean): Promise<number> {
  const { explain } = await import('@cupola/push/failures');
  const failure = explain(error);
  if (failure === null) {
    console.error(error);
    return EXIT.failed;
  }
  const { message, next, details, exitCode, explained } = failure;
  if (json)
    console.log(JSON.stringify({ error: { message, next: explained?.next ?? next, details, cause: explained } }));
  else {
    for (const line of details) console.error(line);
    console.error(`cupola: ${message}${next === null ? '' : `\n${next}`}`);
    if (explained !== null) console.error((await import('@cupola/push/text')).explanationText(explained));
  }
  return exitCode;
}

process.on('SIGINT', () => {
  if (process.listenerCount('SIGINT') === 1) process.exit(EXIT.interrupted);
});
// `cupola apps | head -1`: whoever reads has enough, and nothing is wrong.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
  throw error;
});
// Some terminals that are none say so: everything would be written a letter a line.
if (process.stdout.columns === 0) process.stdout.columns = COLUMNS_USUAL;
try {
  await createProgram().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    // It was said on stderr; who reads JSON is told there too.
    if (error.exitCode !== 0 && process.argv.includes('--json'))
      console.log(
        JSON.stringify({
          error: { message: usageText(error.message), next: 'cupola --help', details: [], cause: null },
        }),
      );
  } else process.exitCode = await report(error, process.argv.includes('--json'));
}
