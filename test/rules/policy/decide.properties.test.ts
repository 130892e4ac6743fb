// Goal: what no table thinks of. Random lines of every command of both series, in random spellings, against policies: what is
// allowed is looked at again from the line that would be sent, by other means than the judgement's own.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  allSeries,
  type Command,
  commandNamed,
  commandsOf,
  type Series,
} from '../../../src/doveadm/commands/catalog.js';
import { parseArguments } from '../../../src/doveadm/commands/parse.js';
import { conditionsIn } from '../../../src/doveadm/commands/search-query.js';
import { sharedReach, touchedUsers } from '../../../src/doveadm/meaning/reach.js';
import { createUserNames } from '../../../src/doveadm/names/user-name.js';
import type { Policy } from '../../../src/rules/policy/policy.js';
import { randomValues, spell } from '../../doveadm/commands/spelling.js';
import { pick, type Random, seededRandom } from '../../kit/plain/chunkings.js';
import { judgeLine, type LineJudgement } from '../../kit/plain/judge-line.js';
import { policyOf, withPolicies } from '../config/sound.js';
import { type Case, judge, readCases } from './cases.js';

const nowMs = 1_795_176_000_000;
const rounds = 6 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const userNames = createUserNames({ characters: 'A-Za-z0-9._+=@-', defaultRealm: 'example.com' });
const namespaces = ['shared/'];

/** Names every command that does not amount to root, bare. */
function policyWith(lines: string): Policy {
  const commands = new Set(
    allSeries.flatMap((series) => commandsOf(series).filter((each) => each.grant !== 'never')),
  );
  const names = [...new Set([...commands].map((each) => each.name))];
  const rules = names.map((name) => `      - ${name}\n`).join('');
  return policyOf(withPolicies(`  support:\n${lines}\n    allow:\n${rules}`));
}

const odd = 'alice carol@example.com eve@example.org ceo CEO@example.com * *@example.com 10.0.0.1 a?'.split(
  ' ',
);

/** A line of the command: user field and words. Parameters that name users get users. */
function lineOf(random: Random, command: Command): { user: string; words: readonly string[] } {
  const values = new Map(
    [...randomValues(random, command)].map(([name, list]) => {
      const role = command.params.find((each) => each.name === name)?.role ?? '';
      const isUser =
        role.startsWith('user-mask') ||
        role === 'source-user' ||
        (role === 'user' && command.scope === 'server');
      return [name, isUser ? list.map(() => pick(random, odd)) : list] as const;
    }),
  );
  const own =
    random() < 0.7
      ? [...values].filter(
          ([name]) => !['user', 'user-file', 'socket-path', 'trans-flags', 'no-userdb-lookup'].includes(name),
        )
      : [...values];
  const user =
    command.scope === 'user' || random() < 0.2
      ? pick(random, ['alice', 'ALICE@Example.com', 'eve@example.org', 'ceo', ''])
      : '';
  return { user, words: [command.name, ...spell(random, command, new Map(own))] };
}

function judged(policy: Policy, series: Series, user: string, words: readonly string[]): LineJudgement {
  const line = { listener: 'p', principal: 'bob@p', user, words, clientMinor: 4 };
  return judgeLine(policy, line, series, namespaces, userNames, nowMs);
}

/** Every allowed line of many. */
function allowedLines(
  policy: Policy,
  seed: number,
  use: (judgement: LineJudgement & { kind: 'judged' }) => void,
): number {
  const random = seededRandom(seed);
  let allowed = 0;
  for (const series of allSeries) {
    for (const command of commandsOf(series)) {
      for (let round = 0; round < rounds; round += 1) {
        const { user, words } = lineOf(random, command);
        const judgement = judged(policy, series, user, words);
        if (judgement.kind === 'unparsable' || judgement.decision.kind === 'deny') continue;
        allowed += 1;
        use(judgement);
      }
    }
  }
  return allowed;
}

const domain = policyWith('    users: ["*@example.com"]\n    except: [ceo@example.com]');

function nameOf(written: string): string {
  const folded = written.toLowerCase();
  return folded.includes('@') ? folded : `${folded}@example.com`;
}

void test('what is allowed by a bare name is harmless, as it would be sent', () => {
  const allowed = allowedLines(domain, 1, ({ series, attempt, canonical }) => {
    const shown = `${series} ${attempt.user} ${JSON.stringify(canonical)}`;
    const command = commandNamed(series, canonical[0] ?? '');
    assert.ok(command, shown);
    const parsed = parseArguments(series, command, canonical.slice(1));
    assert.ok(parsed.kind === 'parsed', shown);
    assert.notEqual(command.grant, 'never', shown);
    for (const parameter of command.params) {
      if (parsed.values.has(parameter.name)) assert.equal(parameter.caution, 'free', shown);
    }
    const touched = touchedUsers(parsed, attempt.user ?? '');
    assert.equal(touched.kind, 'named', shown);
    assert.deepEqual(touched.masks, [], shown);
    for (const { value, parameter } of touched.users) {
      // An id of an ACL is sent as written.
      const isId = command.params.find(({ name }) => name === parameter)?.role === 'acl-id';
      const name = isId ? nameOf(value) : value;
      assert.match(name, /^(?!ceo@)[^@]+@example\.com$/, shown);
    }
    assert.equal(sharedReach(parsed, namespaces), undefined, shown);
    if (parsed.query !== undefined) {
      const isPlain = conditionsIn(parsed.query).every(({ key }) => key.class !== 'content');
      assert.ok(isPlain, shown);
    }
    if (command.name === 'fetch') {
      assert.ok(
        !(parsed.values.get('field') ?? []).some((field) => /^(hdr|body|text|imap|binary|mime)/.test(field)),
        shown,
      );
    }
  });
  assert.ok(allowed > 25 * rounds, `${allowed} lines were allowed`);
});

void test('the line that would be sent is judged like the line that came', () => {
  const { settings } = readCases('catalog.cases');
  const admin = settings.policies.get('admin') ?? assert.fail();
  for (const policy of [domain, admin]) {
    const allowed = allowedLines(policy, 2, ({ series, attempt, canonical, decision }) => {
      const again = judged(policy, series, attempt.user ?? '', canonical);
      const shown = `${series} ${attempt.user} ${JSON.stringify(canonical)}`;
      assert.ok(again.kind === 'judged', shown);
      assert.deepEqual(again.decision, decision, shown);
      assert.deepEqual(again.canonical, canonical, shown);
    });
    assert.ok(allowed > 25 * rounds, `${allowed} lines were allowed`);
  }
});

void test('observing lets nobody out of mailboxes of users named one by one', () => {
  const watch = policyWith('    mode: observe\n    users: []');
  const allowed = allowedLines(watch, 3, ({ series, attempt, canonical, decision }) => {
    const shown = `${series} ${attempt.user} ${JSON.stringify(canonical)}`;
    if (decision.would === undefined) return;
    const command = commandNamed(series, canonical[0] ?? '');
    assert.ok(command, shown);
    const parsed = parseArguments(series, command, canonical.slice(1));
    assert.ok(parsed.kind === 'parsed', shown);
    assert.equal(touchedUsers(parsed, attempt.user ?? '').kind, 'named', shown);
    for (const { name, role } of command.params) {
      const reaches = [
        ...'socket user-file file-path content-file source-user all-users remote-destination'.split(' '),
        ...'internal'.split(' '),
      ];
      if (parsed.values.has(name)) assert.ok(!reaches.includes(role ?? ''), shown);
    }
  });
  assert.ok(allowed > 25 * rounds, `${allowed} lines were allowed`);
});

/** Every way to add one more option to a line, with the option's name. */
function withOneMore(series: Series, each: Case): { name: string; words: readonly string[] }[] {
  const line = each.words.join(' ');
  const command = commandsOf(series).find((one) => line === one.name || line.startsWith(`${one.name} `));
  if (command === undefined) return [];
  const head = each.words[0] === command.name ? 1 : command.words.length;
  // Who names somebody where everybody was meant asks for less.
  const params = command.params.filter(({ role }) => role?.startsWith('user-mask') !== true);
  return params.flatMap(({ name, type }) => {
    const option = type === 'bool' ? `--${name}` : `--${name}=1`;
    return [
      { name, words: [...each.words.slice(0, head), option, ...each.words.slice(head)] },
      { name, words: [...each.words, option] },
    ];
  });
}

void test('one more option never turns a denied line into an allowed one', () => {
  let tried = 0;
  for (const name of [
    ...'where-is-closed.cases query.cases dangerous.cases content.cases shared.cases'.split(' '),
    ...'users.cases'.split(' '),
  ]) {
    const { settings, cases } = readCases(name);
    for (const each of cases.filter((one) => one.expected.startsWith('deny'))) {
      for (const series of each.series) {
        for (const { name: option, words } of withOneMore(series, each)) {
          const before = judge(settings, each, series);
          const after = judge(settings, { ...each, words }, series);
          if (before.kind === 'unparsable' || after.kind === 'unparsable') continue;
          tried += 1;
          const isAllowed = after.decision.kind === 'allow';
          // The only way: the very option was missing, and the condition on it is met.
          const missing = before.decision.nearest?.missing ?? [];
          const isAskedFor = missing.some((text) => text.startsWith(`${option} `));
          assert.ok(!isAllowed || isAskedFor, `${name}:${each.line} ${words.join(' ')}`);
        }
      }
    }
  }
  assert.ok(tried > 300, `${tried} lines were tried`);
});
