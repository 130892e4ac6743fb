// `dovegate kill`: ends one running command, or all that have run longer than a time. Each end is an action of its own at the daemon, with
// a record of its own, as if each id had been given.

import { CommandFault, plain, stderr, stdout } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import { asList, asObject, isText, parseLine } from '../../host/values/values.js';
import { msMax } from '../../host/words/instants.js';
import { formatJsonLines } from '../../host/words/text.js';
import { durationWords, plural } from '../../host/words/words.js';
import { type AskDaemon, exitCodeOf, findDaemon, pathOf, post, type WhichDaemon } from './operate.js';

export interface KillOptions extends WhichDaemon {
  readonly olderThan?: number;
  readonly dryRun: boolean;
  readonly json: boolean;
}

/** A command in `/status.json`, as far as the daemon reports it. No schema: a question to a daemon loads no parser. */
interface Running {
  readonly id: string;
  readonly principal: string;
  readonly user: string;
  readonly command: string;
  readonly backend: string;
  readonly duration_ms: number;
}

/** Empty for an entry that this program could not end. */
function runningIn(told: unknown): readonly Running[] {
  const { id, principal = '-', user = '', command = '-', backend = '', duration_ms } = asObject(told) ?? {};
  if (!isText(id) || !isText(principal) || !isText(user) || !isText(command) || !isText(backend)) return [];
  if (typeof duration_ms !== 'number' || !(duration_ms >= 0 && duration_ms <= msMax)) return [];
  return [{ id, principal, user, command, backend, duration_ms }];
}

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
  const told = parseLine(answer.body);
  if (told === undefined) throw new CommandFault(exitCodes.unavailable, 'what answers there is not dovegate');
  return (asList(told['exchanges']) ?? []).flatMap(runningIn);
}
