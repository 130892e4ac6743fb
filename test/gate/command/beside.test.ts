// Goal: what is recorded beside what was done. A policy that observes refuses nothing by its rules, and the record says what they would
// do; a candidate is compared with what the client got, reasons, limits and numbers of mails in both directions.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { replyPacket } from '../../kit/gate/memory-backend.js';
import { memorySettings, openMemoryEngine } from '../../kit/gate/memory-engine.js';

const rules = `
    limits: { rate: 6/minute }
    deny: [mailbox delete]
    allow:
      - quota get
      - { command: mailbox subscribe, reason: required }
      - { command: mailbox create, limit: 1/hour }
      - { command: expunge, max_matches: 2 }
`;
const none = 'allow: [quota get, mailbox list, mailbox subscribe, search, fetch, who]';

interface Beside {
  readonly policy: string;
  readonly candidate?: string;
  readonly matches?: number;
}

/** Each line to one session of an engine: what became of it, and what is recorded beside. */
async function becomes({ policy, candidate, matches = 0 }: Beside, lines: readonly string[]) {
  const engine = openMemoryEngine({
    settings: memorySettings.replace(`    ${none}`, policy),
    ...(candidate === undefined ? {} : { files: { 'candidate.yaml': candidate } }),
  });
  engine.setAnswer((line) =>
    replyPacket(`${line.includes('\tsearch\t') ? 'guid\t1\t'.repeat(matches) : ''}\n+\n`),
  );
  const client = await engine.client(2);
  for (const line of lines) {
    await client.line(line);
    await engine.clock.advance(0);
  }
  const own = engine.recordsOf('admission').filter((record) => record.for === undefined);
  const ends = engine.recordsOf('completion').filter((record) => record.for === undefined);
  return {
    told: own
      .map(({ would, shadow }, at) => [ends[at]?.outcome, would ?? shadow].join(' ').trim())
      .join(', '),
    own,
    said: client.said(),
  };
}

const user = '|alice@example.org|';
const lines = [
  `${user}quota get`,
  `${user}mailbox subscribe|A`,
  `${user}mailbox create|A`,
  `${user}mailbox create|B`,
  `${user}expunge|mailbox|Trash|all`,
  `${user}mailbox delete|Old`,
  `${user}fts rescan`,
  '|eve@example.net|quota get',
];

/** What the rules ask, in the same order. */
const asked = 'ok, ok no-reason, ok, ok over-limit, ok depends, ok denied, ok denied, ok denied';

void describe('a policy that observes', () => {
  const policy = `    mode: observe${rules}`;

  void test('refuses nothing by its rules, and the record says what they would do', async () => {
    const { told, own, said } = await becomes({ policy }, lines);
    assert.equal(told, asked);
    assert.doesNotMatch(said, /\n-/);
    assert.match(own[1]?.would_why ?? '', /:\d+: the client must say why/);
    assert.match(own[3]?.would_why ?? '', /over the limit of a rule of policy support \(1\/hour\)/);
    assert.match(own[4]?.would_why ?? '', /at most 2 mails/);
    assert.equal(own[4]?.matches, undefined, 'nothing is counted for it');
    assert.ok(own.every(({ text, shadow, shadow_why: why }) => (text ?? shadow ?? why) === undefined));
  });

  void test('what goes beyond it is refused, and the client reads why', async () => {
    const { told, said } = await becomes({ policy }, ['||who|*', `${user}import|maildir:/x||all`]);
    assert.equal(told, 'denied, denied');
    assert.match(said, /policy support observes, and this goes beyond that: it is for a mask of users/);
  });

  void test('its rate is counted as if it were in force', async () => {
    const { told } = await becomes({ policy }, Array<string>(8).fill(`${user}quota get`));
    assert.equal(told, `${'ok, '.repeat(6)}ok over-limit, ok over-limit`);
  });
});

void describe('a candidate beside it', () => {
  const candidate = `users: ["*@example.org"]${rules.replaceAll(/\n {4}/g, '\n')}`;
  const all = 'quota get, mailbox subscribe, mailbox create, expunge, mailbox delete, fts rescan';

  void test('is compared with what was done: beside a policy that observes, each command that will break is told', async () => {
    const policy = `    mode: observe\n    allow: [${all}]\n    shadow: candidate.yaml`;
    const { told, own } = await becomes({ policy, candidate }, lines);
    assert.equal(told, asked);
    // The rules of the policy would deny the last one, too.
    assert.equal(own[1]?.would, undefined);
    assert.deepEqual([own[7]?.would, own[7]?.shadow], ['denied', 'denied']);
    assert.match(own[5]?.shadow_why ?? '', /candidate\.yaml:\d+: a rule of policy support denies/);
  });

  void test('and with what is demanded: fewer demands are a difference, too', async () => {
    const policy = `    shadow: candidate.yaml${rules}`;
    const more = `users: ["*@example.org"]\nallow: [${all}]\n`;
    const { told } = await becomes({ policy, candidate: more }, lines);
    const less = 'ok, denied served, ok, limited served, ok, denied served, denied served, denied';
    assert.equal(told, less);
  });

  void test('where mails are counted anyway, their number decides what it says', async () => {
    const policy = (most: number): string =>
      `    shadow: candidate.yaml\n    allow: [{ command: expunge, max_matches: ${most} }]`;
    const run = async (most: number, other: number, matches: number) => {
      const beside = `users: ["*@example.org"]\nallow: [{ command: expunge, max_matches: ${other} }]\n`;
      const { told } = await becomes({ policy: policy(most), candidate: beside, matches }, [lines[4] ?? '']);
      return told;
    };
    const found = [await run(3, 1, 2), await run(1, 3, 2), await run(3, 1, 1), await run(1, 2, 3)];
    assert.deepEqual(found, ['ok denied', 'denied served', 'ok', 'denied']);
  });

  void test('agreement leaves no trace, nor does what no policy decides', async () => {
    const policy = '    shadow: candidate.yaml\n    allow: [quota get]';
    const beside = 'users: ["*@example.org"]\nallow: [quota get]\n';
    const { own } = await becomes({ policy, candidate: beside }, [`${user}quota get`, `${user}nonsense`]);
    assert.deepEqual(
      own.map(({ would, shadow, shadow_why: why }) => would ?? shadow ?? why),
      [undefined, undefined],
    );
  });
});
