// Goal: no is the answer unless a rule says yes, and a deny wins.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseArguments } from '../../src/catalog/parse.js';
import { resolveCommand } from '../../src/catalog/resolve.js';
import type { Series } from '../../src/catalog/series.js';
import { attemptOf } from '../../src/policy/attempt.js';
import { type Decision, decide } from '../../src/policy/decide.js';
import { createPolicy, type Rule } from '../../src/policy/rule.js';

const rule = (command: string, line: number): Rule => ({
  command,
  place: { file: 'p.yaml', line, column: 7 },
});

const policy = createPolicy(
  {
    name: 'support',
    place: { file: 'p.yaml', line: 1, column: 1 },
    users: ['*@example.com'],
    usersPlace: { file: 'p.yaml', line: 2, column: 1 },
    except: ['ceo@example.com'],
    exceptPlace: { file: 'p.yaml', line: 3, column: 1 },
    allow: [
      rule('quota get', 10),
      rule('search', 11),
      rule('mailbox delete', 12),
      rule('fetch', 13),
      rule('copy', 14),
      rule('save', 15),
      rule('backup', 16),
      rule('who', 17),
      rule('mailbox list', 18),
      rule('flags add', 19),
    ],
    deny: [rule('mailbox delete', 20)],
    effectiveText: 'text',
  },
  (text) => `hash of ${text}`,
);

function judge(user: string | undefined, words: string, series: Series = '2.3'): Decision {
  const resolved = resolveCommand(series, words.split(' '));
  assert.ok(resolved, words);
  const parsed = parseArguments(series, resolved.command, resolved.args);
  assert.ok(parsed.kind === 'parsed', `${words}: ${JSON.stringify(parsed)}`);
  return decide(policy, attemptOf({ listener: 'support', principal: 'bob@support' }, user, parsed));
}

const alice = 'alice@example.com';

const table: readonly (readonly [expected: string, user: string | undefined, words: string])[] = [
  ['allowed 10', alice, 'quota get'],
  ['allowed 11', alice, 'search mailbox INBOX all'],
  ['allowed 13', alice, 'fetch uid all'],
  ['allowed 18', alice, 'mailbox list INBOX*'],
  ['except 3', 'ceo@example.com', 'quota get'],
  ['user 2', 'alice@example.org', 'quota get'],
  ['user 2', 'alice@evil@example.com', 'quota get'],
  ['user 2', 'alice', 'quota get'],
  ['no-user', undefined, 'quota get'],
  ['no-rule', alice, 'mailbox status messages INBOX'],
  ['deny-rule 20', alice, 'mailbox delete Old'],
  ['parameter near 10', alice, 'quota get -A'],
  ['parameter near 10', alice, 'quota get -S /run/x'],
  ['parameter near 10', alice, 'quota get -F /etc/passwd'],
  ['parameter near 14', alice, 'copy Dest user bob@example.com mailbox INBOX all'],
  ['parameter near 18', alice, 'mailbox list -s'],
  ['parameter near 19', alice, 'flags add \\Seen all'],
  ['form near 15', alice, 'save'],
  ['form near 16', alice, 'backup tcp:x:1'],
  ['form near 17', alice, 'who'],
];

for (const [expected, user, words] of table) {
  void test(`${user} ${words}: ${expected}`, () => {
    const decision = judge(user, words);
    const place = decision.rule === undefined ? '' : ` ${decision.rule.line}`;
    const near = decision.nearest === undefined ? '' : ` near ${decision.nearest.rule.line}`;
    assert.equal(`${decision.code}${place}${near}`, expected);
    assert.equal(decision.kind, expected.startsWith('allowed') ? 'allow' : 'deny');
  });
}
