// `dovegate kill`: ends one running command, or all that have run longer than a time. Each end is an action of its own at the daemon, with
// a record of its own, as if each id had been given.

import * as z from 'zod';
import { CommandFault, plain, stderr, stdout } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import { spanMs } from '../../host/values/shape.js';
import { parseLine } from '../../host/values/values.js';
import { formatJsonLines } from '../../host/words/text.js';
import { durationWords, plural } from '../../host/words/words.js';
import { type AskDaemon, exitCodeOf, findDaemon, pathOf, post, type WhichDaemon } from './operate.js';

export interface KillOptions extends WhichDaemon {
  readonly olderThan?: number;
  readonly dryRun: boolean;
  readonly json: boolean;
}

/** A command in `/status.json`, as far as the daemon reports it. */
const exchange = z.object({
  id: z.string(),
  principal: z.string().default('-'),
  user: z.string().default(''),
  command: z.string().default('-'),
  backend: z.string().default(''),
  duration_ms: spanMs,
});
type Running = Readonly<z.infer<typeof exchange>>;

/** What this program could not end is left out. */
const status = z.object({ exchanges: z.array(exchange.optional().catch(undefined)).catch([]) });

/** `gone`: it had ended by itself. */
type Result = 'ended' | 'gone' | 'would-end';

/** Exit code 0: done, also if there was nothing to do; else as of `post`. Rejects with a CommandFault. */
export async function kill(id: string | undefined, options: KillOptions): Promise<number> {
  if (id !== undefined) return post(options, pathOf('kill', id));
  const daemon = await findDaemon(options);
  const { olderThan: leastMs = 0, dryRun, json } = options;
  const found = (await readRunning(daemon)).filter(({ duration_ms: ms }) => ms >= leastMs);
  const ended: (Running & { readonly result: Result })[] = [];
  let code: number = exitCodes.ok;
  for (const running of found) {
    const answer = dryRun ? undefined : await daemon('POST', pathOf('kill', running.id));
    if (answer !== undefined && answer.status !== 200 && answer.status !== 404) {
      // The cause would stop the others too: a journal that takes no record, or a missing right.
      stderr(answer.body.trimEnd().split('\n').map(plain).join('\n'));
      code = exitCodeOf(answer.status);
      break;
    }
    const result = answer === undefined ? 'would-end' : answer.status === 200 ? 'ended' : 'gone';
    ended.push({ ...running, result });
    if (!json) stdout(`${running.id}  ${sentenceOf(running, result)}`);
  }
  const count = ended.filter(({ result }) => result !== 'gone').length;
  if (json) stdout(formatJsonLines({ older_than_ms: leastMs, dry_run: dryRun, commands: ended }));
  else if (found.length === 0) stdout('no command has run that long');
  else stdout(`${plural(count, 'command')} ${dryRun ? 'would be ended' : 'ended'}`);
  return code;
}

function sentenceOf({ command, principal, user, backend, duration_ms: ms }: Running, result: Result): string {
  const of = user === '' ? '' : ` for ${user}`;
  const at = backend === '' ? '' : ` at ${backend}`;
  const what = plain(`\`${command}\` of ${principal}${of}${at}, after ${durationWords(ms)}`);
  if (result === 'gone') return `${what}: had ended by itself`;
  return result === 'ended' ? `${what}: ended; it may have run` : `${what}: would be ended`;
}

async function readRunning(daemon: AskDaemon): Promise<readonly Running[]> {
  const answer = await daemon('GET', '/status.json');
  if (answer.status !== 200) throw new CommandFault(exitCodeOf(answer.status), answer.body.trimEnd());
  const told = status.safeParse(parseLine(answer.body)).data;
  if (told === undefined) throw new CommandFault(exitCodes.unavailable, 'what answers there is not dovegate');
  return told.exchanges.flatMap((each) => each ?? []);
}
