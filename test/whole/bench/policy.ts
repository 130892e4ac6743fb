// What a decision costs: the parse of a line, the judgement by a policy of 100 rules, and a remembered one; beside it, in the same
// run, JSON.parse of the same line as JSON. Prints nanoseconds and the ratio; asserts nothing, since machines are noisy.

import { commandsOf, resolveCommand } from '../../../src/doveadm/commands/catalog.js';
import { parseArguments } from '../../../src/doveadm/commands/parse.js';
import { canonicalArguments } from '../../../src/doveadm/meaning/canonical.js';
import { createUserNames } from '../../../src/doveadm/names/user-name.js';
import { parseCommandLine } from '../../../src/doveadm/protocol/command.js';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { attemptOf } from '../../../src/rules/policy/attempt.js';
import { type Decision, decide } from '../../../src/rules/policy/decide.js';
import { AnswerCache, judgementKey } from '../../../src/rules/policy/judge.js';
import { judgeLine } from '../../kit/plain/judge-line.js';
import { withPolicies } from '../../rules/config/sound.js';

const names = commandsOf('2.3').filter((command) => command.grant !== 'never' && command.scope === 'user');
const many = Array.from({ length: 90 }, (_, at) => names[at % names.length]?.name ?? 'quota get');
const configuration = withPolicies(`  support:
    users: ["*@example.org"]
    except: ["ceo@example.org"]
    allow:
${many.map((name) => `      - { command: ${name}, users: ["nobody@example.org"] }`).join('\n')}
${Array.from({ length: 9 }, (_, at) => `      - { command: expunge, where: { query: { mailbox: [Folder${at}], savedbefore: { at_least: 30d } } } }`).join('\n')}
      - { command: expunge, where: { query: { mailbox: [Trash], savedbefore: { at_least: 30d } } } }
      - quota get
`);
const parsed = parseSettings('bench.yaml', { readText: () => configuration, glob: () => [] });
const policy = parsed.settings?.policies.get('support');
if (policy === undefined) throw new Error(JSON.stringify(parsed.problems));
const userNames = createUserNames({ characters: 'A-Za-z0-9._+=@-' });

/** Nanoseconds of processor time of one call: the best of several rounds, so that what else the machine does counts least. */
function measure(run: () => unknown): number {
  const calls = 20_000;
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 8; round += 1) {
    const start = process.cpuUsage();
    for (let call = 0; call < calls; call += 1) run();
    const { user, system } = process.cpuUsage(start);
    best = Math.min(best, ((user + system) * 1000) / calls);
  }
  return Math.round(best);
}

const lines: readonly (readonly [string, string])[] = [
  ['quota get', '\talice@example.org\tquota get\t-u\talice@example.org\t--'],
  ['expunge, the last of ten rules', '\talice@example.org\texpunge\t--\tmailbox\tTrash\tsavedbefore\t30d'],
];
console.log('ns of processor time a call, best of 8 rounds of 20,000 (policy of 101 rules)\n');
for (const [name, text] of lines) {
  const bytes = Buffer.from(text);
  const json = JSON.stringify(text.split('\t'));
  const line = parseCommandLine(bytes);
  if (line.kind !== 'command') throw new Error('no command');
  const { user, words } = line.command;
  const resolved = resolveCommand('2.3', words);
  if (resolved === undefined) throw new Error('no such command');
  const args = parseArguments('2.3', resolved.command, resolved.args);
  if (args.kind === 'unparsable') throw new Error(args.message);
  const withoutUser = parseArguments(
    '2.3',
    resolved.command,
    resolved.args.filter((_, at) => name !== 'quota get' || at > 1),
  );
  if (withoutUser.kind === 'unparsable') throw new Error(withoutUser.message);
  const from = {
    listener: 'support',
    principal: 'bob@support',
    clientMinor: 2,
    policy,
    userNames,
    sharedNamespaces: [],
  };
  const made = attemptOf(withoutUser, user, from);
  if (made.kind !== 'attempt') throw new Error(made.message);
  const asked = { listener: 'support', principal: 'bob@support', user, words, clientMinor: 2 };
  const cache = new AnswerCache<Decision>({ entriesMax: 1000, bytesMax: 1024 ** 2, bytesOf: () => 1 });
  const decision = decide(policy, made.attempt, 0);
  const key = (): string => judgementKey({ ...asked, named: undefined }, ['2.3'], from);
  cache.keep(key(), decision);
  const figures = {
    'JSON.parse of the same line': measure(() => JSON.parse(json)),
    'wire: line to fields': measure(() => parseCommandLine(bytes)),
    'catalog: name and arguments': measure(() => parseArguments('2.3', resolved.command, resolved.args)),
    'canonical form': measure(() => canonicalArguments(args)),
    'attempt: users, effect, dangers': measure(() => attemptOf(withoutUser, user, from)),
    'decide, uncached': measure(() => decide(policy, made.attempt, 0)),
    'decide, remembered (with its key)': measure(() => cache.find(key(), 0)),
    'all from fields to decision': measure(() => judgeLine(policy, asked, '2.3', [], userNames, 0)),
  };
  const unit = figures['JSON.parse of the same line'];
  console.log(`${name}: ${decision.kind}`);
  for (const [what, ns] of Object.entries(figures)) {
    console.log(`  ${what.padEnd(36)} ${String(ns).padStart(7)} ns   ${(ns / unit).toFixed(1)} x JSON.parse`);
  }
}
