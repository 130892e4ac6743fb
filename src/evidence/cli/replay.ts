// `dovegate test --replay`: evaluates past records with a configuration and lists the decisions that would change.

import { resolve } from 'node:path';
import { readFromDisk } from '../../host/machine/process.js';
import {
  CommandFault,
  formatCanonical,
  formatPlace,
  plain,
  stderr,
  stdout,
} from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import { formatTime } from '../../host/words/instants.js';
import { plural, timesWords } from '../../host/words/words.js';
import { Coverage } from '../../rules/answers/policy-tests.js';
import { namedPolicy, openSettings } from '../../rules/cli/named-listener.js';
import { formatCoverage, type ReplayOptions } from '../../rules/cli/test.js';
import { formatProblem } from '../../rules/config/problem.js';
import { mailUsersSection } from '../../rules/config/schema.js';
import type { Settings } from '../../rules/config/settings.js';
import { parseAlone, policyNamesIn } from '../../rules/proposals/alone.js';
import { createReplay, type ReplayChange, type ReplayResult } from '../review/replay.js';
import { leftOutWords } from '../review/sightings.js';
import { readRows } from './journal-rows.js';

/** How many kinds of changes are printed; the counts cover all of them. */
const shownMax = 200;

/** Exit code 0: no decision would differ; 1: some would; 65: unaccepted missing or damaged records; 78: configuration, or no records. */
export async function replay(options: ReplayOptions): Promise<number> {
  const opened = openSettings(options.config);
  const settings = options.candidate === undefined ? opened : withCandidate(opened, options.candidate);
  const coverage = new Coverage(settings.policies.values());
  const judging = createReplay(settings, ({ readings }) => {
    if (options.coverage) coverage.take(readings());
  });
  const { holes, notes } = await readRows(options.directory, (row) => judging.take(row));
  const result = judging.finish();
  for (const change of result.changes.slice(0, shownMax)) stdout(formatChange(change));
  const more = result.changes.length - shownMax;
  if (more > 0) stdout(`and ${plural(more, 'more kind')} of changes\n`);
  stdout([summaryOf(result), ...notes.map((note) => `not judged: ${note}`)].join('\n'));
  if (options.coverage) stdout(`\n${formatCoverage(coverage.rules(), 'record')}`);
  for (const hole of holes) stderr(`dovegate: ${hole}`);
  if (holes.length > 0) stderr(`dovegate: ${partial}`);
  if (holes.length > 0 && !options.acceptHoles) return exitCodes.incomplete;
  return result.changes.length === 0 ? exitCodes.ok : exitCodes.failed;
}

/** Throws a CommandFault. */
function withCandidate(settings: Settings, file: string): Settings {
  const { presetText, readText } = readFromDisk;
  const read = (path: string): string => {
    try {
      return readText(path);
    } catch (cause) {
      throw new CommandFault(exitCodes.configuration, `${path} cannot be read`, cause);
    }
  };
  const path = resolve(file);
  const yaml = read(path);
  const [policy] = policyNamesIn(yaml);
  if (policy === undefined)
    throw new CommandFault(
      exitCodes.configuration,
      `${file}: holds no policies: NAME: ..., as suggest prints it`,
    );
  const catalog = new Map(settings.catalog?.files.map((each) => [each.path, read(each.path)]));
  const mailUsers = mailUsersSection(settings.mailUsers);
  const parsed = parseAlone({ file: path, yaml, policy, mailUsers, presetText, catalog });
  const errors = parsed.problems.filter(({ severity }) => severity === 'error');
  if (parsed.settings === undefined) {
    const lines = errors.map((problem) => formatProblem(problem, parsed.texts.get(problem.file)));
    throw new CommandFault(exitCodes.configuration, lines.join('\n'));
  }
  const { policies } = parsed.settings;
  for (const name of policies.keys()) namedPolicy(settings, name, exitCodes.configuration);
  return { ...settings, policies: new Map([...settings.policies, ...policies]) };
}

const partial =
  'what these records held was not judged; `dovegate audit verify` shows what is missing, --accept-holes ends by the rest';

function formatChange(change: ReplayChange): string {
  const { from, to, words, count, users, listener, principal, lastMs, rule } = change;
  const [user] = users;
  const whose =
    user === undefined
      ? ''
      : users.size === 1
        ? `, for ${user}`
        : `, for ${user} and ${plural(users.size - 1, 'other')}`;
  const near = rule === undefined ? '' : ` (${formatPlace(rule)})`;
  return [
    `${from} -> ${to === 'obstacle' ? 'not carried out' : to}  ${formatCanonical(words)}`,
    plain(`    ${timesWords(count)}, last ${formatTime(lastMs)}, by ${principal} at ${listener}${whose}`),
    plain(
      `    then: ${from === 'allow' ? `allowed by ${change.before || 'observing'}` : `refused: ${change.before || from}`}`,
    ),
    `    now:  ${plain(change.reason)}${near}`,
    ...(change.isOpaque
      ? ['    some of its words are known as digests only: a rule about them may say otherwise']
      : []),
    '',
  ].join('\n');
}

function summaryOf(result: ReplayResult): string {
  const { judged, opaque, withoutClient, allowToDeny, denyToAllow, otherwise, toObstacle, notJudged } =
    result;
  const same = judged - allowToDeny - denyToAllow - otherwise - toObstacle;
  const lines = [
    `${plural(judged, 'record')} judged: ${same} as before, ${allowToDeny} allow -> deny, ${denyToAllow} deny -> allow`,
  ];
  if (otherwise > 0) lines.push(`${otherwise} would be refused otherwise, or if too many mails match`);
  if (toObstacle > 0) {
    lines.push(`${toObstacle} would be allowed, and could not be carried out`);
  }
  if (withoutClient > 0) {
    lines.push(
      `${withoutClient} of them do not say which client asked, and were judged as of one of Dovecot 2.4`,
    );
  }
  if (opaque > 0) {
    lines.push(
      `${opaque} of them with secrets or words of mails, which are recorded as digests and were judged as unknown words`,
    );
  }
  const whys = { ...leftOutWords, 'no-listener': 'of listeners that this configuration does not have' };
  for (const [why, count] of notJudged) lines.push(`${count} not judged: ${whys[why]}`);
  return lines.join('\n');
}
