// Goal: whatever was seen, the suggestion passes check and allows it again; and it grants nothing that nobody should grant unseen.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  allSeries,
  type Command,
  commandNamed,
  commandsOf,
  type Series,
} from '../../../src/doveadm/commands/catalog.js';
import { createUserNames } from '../../../src/doveadm/names/user-name.js';
import { Sightings, understand } from '../../../src/evidence/review/sightings.js';
import { suggest } from '../../../src/evidence/review/suggest.js';
import { RecordedAssessor } from '../../../src/rules/answers/recorded-line.js';
import { formatProblem } from '../../../src/rules/config/problem.js';
import type { Settings } from '../../../src/rules/config/settings.js';
import type { SeenLine } from '../../../src/rules/proposals/seen-line.js';
import { randomValues, spell } from '../../doveadm/commands/spelling.js';
import { pick, type Random, seededRandom } from '../../kit/plain/chunkings.js';
import { judgeLine } from '../../kit/plain/judge-line.js';
import { parse } from '../../rules/config/sound.js';
import { record, recordedMs } from './recording.js';

const rounds = 60 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const observing = `  p:
    mode: observe
    users: ["*"]
    except: [ceo@example.com]
    deny: [mailbox delete]
    allow: []
`;

function settingsWith(policies: string): Settings {
  const { settings, problems } = parse(`
listeners: { p: { unix: /run/p, policy: p } }
backends: { m: { address: "unix:/run/d", shared_namespaces: ["shared/"] } }
routes: [{ users: ["*"], backend: m }]
mail_users: { default_realm: example.com }
${policies}`);
  const errors = problems.filter(({ severity }) => severity === 'error').map((each) => formatProblem(each));
  assert.deepEqual(errors, [], policies);
  return settings ?? assert.fail();
}

const people = 'alice bob@example.org carol@example.net ceo *@example.org * 10.0.0.1 a?'.split(' ');

/** Parameters that name users get users; every command gets a user that exists. */
function lineOf(random: Random, command: Command): { user: string; words: readonly string[] } {
  const values = new Map(
    [...randomValues(random, command)]
      .filter(([name]) => !['user', 'user-file', 'socket-path', 'trans-flags'].includes(name))
      .map(([name, list]) => {
        const role = command.params.find((each) => each.name === name)?.role ?? '';
        const isUser = /^(?:user-mask|user-mask-or-ip|source-user)$/.test(role);
        return [name, isUser ? list.map(() => pick(random, people)) : list] as const;
      }),
  );
  const user = pick(random, ['alice', 'Bob@example.org', 'carol@example.net', 'dave', 'ceo']);
  return { user, words: [command.name, ...spell(random, command, values)] };
}

function isAllowedBy(settings: Settings, { line, lastMs }: SeenLine): boolean {
  const policy = settings.policies.get('p') ?? assert.fail();
  const userNames = createUserNames(settings.mailUsers);
  return line.series.every((series) => {
    const judgement = judgeLine(policy, { ...line, clientMinor: 4 }, series, ['shared/'], userNames, lastMs);
    return judgement.kind === 'judged' && judgement.decision.kind === 'allow';
  });
}

/** What the suggestion must allow: what was allowed, unless it is root, all users, or denied by a line of today. */
function mustBeAllowed(settings: Settings, seen: SeenLine): boolean {
  const policy = settings.policies.get('p') ?? assert.fail();
  const understood =
    understand(new RecordedAssessor(settings), policy, seen) ?? assert.fail(JSON.stringify(seen.line));
  const { attempts, decision } = understood;
  if (seen.line.decision !== 'allow' || ['except', 'deny-rule', 'never'].includes(decision.code))
    return false;
  return attempts.every(
    ({ command, everybody, masks }) =>
      command.grant !== 'never' && everybody === 'none' && masks.length === 0,
  );
}

void test('random days of work, of every command of the catalog', () => {
  const random = seededRandom(20_261_120);
  const settings = settingsWith(`policies:\n${observing}`);
  const policy = settings.policies.get('p') ?? assert.fail();
  const names = [...new Set(allSeries.flatMap((series) => commandsOf(series).map(({ name }) => name)))];
  const allowed = new Set<string>();
  let lines = 0;
  for (let round = 0; round < rounds; round += 1) {
    const sightings = new Sightings({ listener: 'p' });
    const count = 1 + Math.floor(random() * 4);
    for (let at = 0; at < count; at += 1) {
      const name = round < names.length && at === 0 ? (names[round] ?? '') : pick(random, names);
      for (let time = 0; time < 12; time += 1) {
        const series: readonly Series[] = random() < 0.5 ? allSeries : [pick(random, allSeries)];
        const command = series.map((one) => commandNamed(one, name)).find((one) => one !== undefined);
        if (command === undefined) continue;
        const atMs = recordedMs - Math.floor(random() * 86_400_000);
        const row = record(settings, 'p', { ...lineOf(random, command), series, atMs });
        // What was seen once is no rule.
        for (const each of [row, row]) sightings.take(each);
      }
    }
    const { text } = suggest(sightings, { settings, policy, listener: 'p', nowMs: recordedMs });
    const suggested = settingsWith(text);
    for (const seen of sightings.lines) {
      const { line } = seen;
      if (mustBeAllowed(settings, seen)) {
        lines += 1;
        allowed.add(line.words[0] ?? '');
        assert.ok(isAllowedBy(suggested, seen), `${line.user}: ${JSON.stringify(line.words)}\n${text}`);
      } else if (isAllowedBy(suggested, seen)) {
        // Only masks over the users of one domain, spelled out in the rule.
        const { attempts } = understand(new RecordedAssessor(settings), policy, seen) ?? assert.fail();
        for (const { command, everybody } of attempts)
          assert.ok(command.grant !== 'never' && everybody === 'none', text);
        assert.equal(line.decision, 'allow', `${JSON.stringify(line)}\n${text}`);
      }
    }
  }
  assert.ok(lines > rounds * 5 && allowed.size > 40, `${lines} lines of ${allowed.size} commands`);
});
