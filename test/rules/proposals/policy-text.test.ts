// Goal: what is written is read back as it was meant, and nothing in it can end a line, a quote or a comment.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parse as parseYaml } from 'yaml';
import { formatPolicy, formatValue, type Plain } from '../../../src/rules/proposals/policy-text.js';

void test('words stand as they are where YAML cannot take them for anything else', () => {
  const plain = [
    'INBOX',
    'quota get',
    'size.physical',
    '30d',
    '60/minute',
    '1024B',
    'bob@example.com',
    'Archive/2026',
  ];
  for (const text of plain) assert.equal(formatValue(text), text);
  const quoted = [
    '*',
    '*@example.com',
    'yes',
    'No',
    'null',
    '5',
    '5e3',
    '1e5d',
    'a: b',
    '- a',
    'a #b',
    ' a',
    'a ',
    '',
    '\\Seen',
    '~',
    'a,b',
    '[a',
    'Ü',
  ];
  for (const text of quoted) assert.equal(formatValue(text), JSON.stringify(text));
  assert.equal(formatValue('a\u{e0041}\u3000'), '"a\\U000e0041\\u3000"');
});

void test('any text, and anything made of texts, is read back the same, on one line', () => {
  const text = fc.string({ unit: 'binary', maxLength: 12 });
  const scalar = fc.oneof(
    text,
    fc.constantFrom('off', 'on', '1', '0x1f', '1_000', '30d', '5E2', '2026-01-01', '=', '<<'),
  );
  const plain: fc.Arbitrary<Plain> = fc.letrec<{ value: Plain }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      scalar,
      fc.boolean(),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(
        fc.stringMatching(/^[a-z_]{1,8}$/).filter((key) => key !== '__proto__'),
        tie('value'),
        { maxKeys: 3 },
      ),
    ),
  })).value;
  fc.assert(
    fc.property(plain, (value) => {
      const written = formatValue(value);
      assert.doesNotMatch(written, /[\p{Cc}\u2028\u2029\u202e]/u);
      assert.deepEqual(parseYaml(`x: ${written}`, { version: '1.2' }), {
        x: JSON.parse(JSON.stringify(value)),
      });
    }),
    { seed: 20_261_120, numRuns: 500 },
  );
});

void test('a policy with comments, a rule of a name only, one with conditions, one that is not granted', () => {
  const rule = { command: 'expunge', where: { query: { mailbox: ['Trash'] } } };
  const text = formatPolicy({
    name: 'support',
    comments: ['seen\nby x'],
    traits: { users: ['*@example.com'] },
    allow: [
      { comments: ['once'], rule: { command: 'quota get' }, isCommentedOut: false },
      { comments: [], rule, isCommentedOut: false },
      { comments: ['WARNING'], rule: { command: 'reload', root_equivalent: true }, isCommentedOut: true },
    ],
    remarks: ['not \u001b[2Jsuggested'],
  });
  assert.equal(
    text,
    `# seen\\nby x
policies:
  support:
    users: ["*@example.com"]
    allow:
      # once
      - quota get
      - command: expunge
        where: { query: { mailbox: [Trash] } }
      # WARNING
      # - command: reload
      #   root_equivalent: true
    # not \\x1b[2Jsuggested
`,
  );
  const empty = formatPolicy({ name: 'a', comments: [], traits: {}, allow: [], remarks: [] });
  assert.deepEqual(parseYaml(empty), { policies: { a: { allow: [] } } });
});
