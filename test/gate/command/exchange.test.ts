// Goal: what an exchange asks besides its policy. Whom the userdb means is judged before anything is recorded as allowed or sent; a
// remembered judgement holds no longer than its rule.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { lookupLimits } from '../../../src/gate/lookup/lookup.js';
import { kernelAccess } from '../../../src/gate/session/greet-peer.js';
import { Abortable } from '../../../src/host/concurrency/abortable.js';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { replyPacket } from '../../kit/gate/memory-backend.js';
import {
  allSynced,
  type MemoryEngine,
  type MemoryEngineOptions,
  memorySettings,
  openMemoryEngine,
  openWithClient,
} from '../../kit/gate/memory-engine.js';
import { column, columns } from '../../kit/plain/columns.js';
import { settle } from '../../kit/plain/fake-clock.js';

const withUserdb = memorySettings
  .replace('users: ["*@example.org"]', 'users: ["*@example.org"]\n    except: [ceo@example.org]')
  .concat('mail_users: { default_realm: example.org, resolve: /run/dovecot/dovegate-userdb }\n');

/** One line to an engine with that auth service: what the client read, what the backend got, what was recorded. */
async function ask(line: string, options: MemoryEngineOptions) {
  const { engine, client } = await openWithClient(2, options);
  await client.line(line);
  await engine.clock.advance(0);
  const admission = engine.recordsOf('admission')[0];
  const completion = engine.recordsOf('completion')[0];
  return {
    said: client.said(),
    sent: engine.commands.map(({ line: sent }) => sent.replaceAll('\t', '|')),
    admission,
    completion,
    engine,
    client,
  };
}

void describe('whom the userdb means', () => {
  const answers: Readonly<Record<string, string>> = {
    'boss@example.org': 'USER|ceo@example.org',
    'sales@example.org': 'USER|carol@example.org',
    'far@example.org': 'USER|dave@example.net',
    'broken@example.org': 'FAIL',
  };
  const auth = (kind: string, user: string): string => {
    assert.equal(kind, 'USER');
    return answers[user] ?? `USER|${user}`;
  };
  const run = (line: string) => ask(line, { settings: withUserdb, auth });

  void test('himself, or another one whom the policy permits: sent as it was asked', async () => {
    for (const user of ['alice', 'sales']) {
      const { said, sent, admission, completion } = await run(`|${user}|quota get`);
      assert.deepEqual(sent, [`|${user}@example.org|quota get|--`]);
      assert.match(said, /\n\+\n$/);
      assert.equal(admission?.decision, 'allow');
      assert.equal(completion?.outcome, 'ok');
      // Who looks for carol finds it.
      const meant = user === 'sales' ? ['carol@example.org'] : [];
      assert.deepEqual(admission?.users, [`${user}@example.org`, ...meant]);
    }
  });

  const denied: readonly (readonly [name: string, line: string, users: readonly string[]])[] = [
    ['an alias of an excepted user', '|boss|quota get', ['boss@example.org', 'ceo@example.org']],
    ['an alias of somebody outside', '|far|quota get', ['far@example.org', 'dave@example.net']],
    ['an alias in the arguments', '||who|boss', ['boss@example.org', 'ceo@example.org']],
    ['one of several', '||who|alice|far', ['alice@example.org', 'far@example.org', 'dave@example.net']],
  ];
  for (const [name, line, users] of denied) {
    void test(`${name} is denied, and nothing is sent`, async () => {
      const { said, sent, admission, completion } = await run(line);
      assert.deepEqual(sent, []);
      assert.match(said, /\n-NOPERM\n$/);
      assert.equal(admission?.decision, 'deny');
      assert.equal(completion?.outcome, 'denied');
      assert.deepEqual(admission?.users, users);
    });
  }

  void test('a userdb that cannot say is a failure, never "no alias"', async () => {
    const { said, sent, completion } = await run('|broken|quota get');
    assert.deepEqual(sent, []);
    assert.match(said, /\n-TEMPFAIL\n$/);
    assert.deepEqual([completion?.outcome, completion?.sent], ['failed', false]);
    assert.match(completion?.error ?? '', /^lookup-/);
  });

  void test('a remembered judgement does not spare the question: who becomes an alias is refused', async () => {
    let meant = 'alice@example.org';
    const { engine, client, sent } = await ask('|alice|quota get', {
      settings: withUserdb,
      auth: () => `USER|${meant}`,
    });
    assert.equal(sent.length, 1);
    meant = 'ceo@example.org';
    await engine.clock.advance(lookupLimits.foundTtlMs + 1);
    for (const _ of [1, 2]) {
      await client.line('|alice|quota get');
      await engine.clock.advance(0);
    }
    assert.equal(engine.commands.length, 1);
    assert.equal(client.said().match(/-NOPERM\n/g)?.length, 2);
    // And is himself again when the userdb says so.
    meant = 'alice@example.org';
    await engine.clock.advance(lookupLimits.foundTtlMs + 1);
    await client.line('|alice|quota get');
    await engine.clock.advance(0);
    assert.equal(engine.commands.length, 2);
  });

  void test('nobody is asked about a command that is denied anyway', async () => {
    const { sent, completion } = await ask('|eve@example.net|quota get', {
      settings: withUserdb,
      auth: () => assert.fail('the userdb was asked'),
    });
    assert.deepEqual(sent, []);
    assert.equal(completion?.outcome, 'denied');
  });
});

void test('a remembered judgement ends with its rule', async () => {
  const settings = memorySettings.replace(
    'allow: [quota get,',
    'allow: [{ command: quota get, expires: 2026-01-03T00:00:00Z },',
  );
  const { engine, client, sent } = await ask('|alice@example.org|quota get', { settings });
  assert.equal(sent.length, 1);
  await client.line('|alice@example.org|quota get');
  assert.equal(engine.commands.length, 2);
  engine.clock.leap(2 * 86_400_000);
  await client.line('|alice@example.org|quota get');
  assert.equal(engine.commands.length, 2);
  assert.match(client.said(), /-NOPERM\n$/);
});

void test('a rule that ends while its command waits allows it no more', async () => {
  const settings = memorySettings
    .replace('connections: 2', 'connections: 1')
    .replace('allow: [quota get,', 'allow: [{ command: quota get, expires: 2026-01-03T00:00:00Z },');
  const engine = openMemoryEngine({ settings, answer: () => undefined });
  const first = await engine.client(2);
  await first.line('|alice@example.org|search|mailbox|INBOX');
  const waiting = await engine.client(2);
  await waiting.line('|alice@example.org|quota get');
  engine.clock.leap(2 * 86_400_000);
  engine.commands[0]?.end.peer.send(replyPacket('\n+\n'));
  await settle();
  await settle();
  assert.equal(engine.commands.length, 1);
  assert.match(waiting.said(), /\n-NOPERM\n$/);
});

void test('who is denied reads what is allowed and whom to ask; the records have the reason alone', async () => {
  const settings = memorySettings.replace('    allow:', '    contact: help@example.org\n    allow:');
  const { said, completion } = await ask('|alice@example.org|expunge|mailbox|INBOX|all', {
    settings,
    access: () => ({ ...kernelAccess, socket: '/run/dovegate/support.sock' }),
  });
  const denied = 'dovegate: denied by policy support (no rule allows "expunge")';
  const help = 'what is allowed: dovegate can --socket /run/dovegate/support.sock; contact: help@example.org';
  assert.ok(said.includes(`${denied}; ${help} [denied], id `), said);
  assert.deepEqual([completion?.outcome, completion?.text], ['denied', undefined]);
});

// Goal: a client that leaves, or we who stop, at every step of a command: nothing is sent after that, and the completion says no
// more than what is known.

const settings = memorySettings.replace('search, fetch', '{ command: expunge, max_matches: 5 }, save, fetch');

const completionOf = ({ records }: MemoryEngine, command: string): AuditRecord | undefined =>
  records.find(({ record }) => record.event === 'completion' && record.command === command)?.record;

const namesOf = ({ commands }: MemoryEngine): (string | undefined)[] =>
  commands.map(({ line }) => line.split('\t')[2]);

void describe('a command whose mails are counted first', () => {
  const line = '|alice@example.org|expunge|mailbox|Trash|all';

  void test('is not sent when the client has left meanwhile', async () => {
    const { engine, client } = await openWithClient(1, { settings, answer: () => undefined });
    await client.line(line);
    client.peer.vanish();
    await settle();
    engine.commands[0]?.end.peer.send(replyPacket('guid\t1\t\n+\n'));
    await engine.untilIdle();
    assert.deepEqual(namesOf(engine), ['search']);
    const completion = completionOf(engine, 'expunge');
    assert.deepEqual([completion?.sent, completion?.error], [false, 'client-gone']);
  });

  // [while what, whether every record is awaited, what the backend says, what was sent]
  for (const [when, isStrict, says, sent] of [
    ['its record is written', false, 'guid\t1\t\n+\n', ['search']],
    ['the record of the search is written', true, undefined, []],
    ['they are counted', false, undefined, ['search']],
  ] as const)
    void test(`is not sent when we stop while ${when}`, async () => {
      const engine = openMemoryEngine({ settings: isStrict ? settings.concat(allSynced) : settings });
      engine.setAnswer(() => {
        if (says !== undefined) engine.setJournal('hold');
        return says === undefined ? undefined : replyPacket(says);
      });
      if (isStrict) engine.setJournal('hold');
      const client = await engine.client(1);
      await client.line(line);
      void engine.service.drain();
      engine.service.abort();
      await settle();
      engine.setJournal('take');
      await engine.untilIdle();
      assert.deepEqual(namesOf(engine), sent);
      const { outcome, sent: isSent, error } = completionOf(engine, 'expunge') ?? {};
      assert.deepEqual([outcome, isSent, error], ['failed', false, 'draining']);
      const search = completionOf(engine, 'search');
      if (isStrict) assert.deepEqual([search?.outcome, search?.sent], ['failed', false]);
      assert.ok(client.said().trimEnd().endsWith('-TEMPFAIL'));
    });
});

void test('a change whose client has left, and whose backend broke off or which we cut: nobody knows whether it ran', async () => {
  for (const isCut of [false, true]) {
    const { engine, client } = await openWithClient(1, { settings, answer: () => undefined });
    await client.line('|alice@example.org|mailbox subscribe|Work');
    client.peer.vanish();
    await settle();
    if (!isCut) engine.commands[0]?.end.peer.vanish();
    else {
      void engine.service.drain();
      engine.service.abort();
    }
    await engine.untilIdle();
    const completion = completionOf(engine, 'mailbox subscribe');
    assert.deepEqual([completion?.outcome, completion?.sent], ['unknown', true]);
  }
});

void test('who leaves in the moment in which its answer is whole takes nothing from the one who got its upstream', async () => {
  const one = memorySettings.replace('connections: 2', 'connections: 1');
  for (let steps = 0; steps < 60; steps += 1) {
    const engine = openMemoryEngine({ settings: one, answer: () => undefined });
    const first = await engine.client(1);
    const second = await engine.client(1);
    await first.line('|alice@example.org|quota get');
    await second.line('|bob@example.org|quota get');
    engine.commands[0]?.end.peer.send(replyPacket('\n+\n'));
    for (let step = 0; step < steps; step += 1) await Promise.resolve();
    first.peer.vanish();
    await settle();
    engine.commands.at(-1)?.end.peer.send(replyPacket('\n+\n'));
    await settle();
    const bobs = engine.records.filter(({ record }) => record.user === 'bob@example.org').at(-1)?.record;
    assert.deepEqual([steps, bobs?.event, bobs?.outcome], [steps, 'completion', 'ok']);
  }
});

// Goal: the search before a command with max_matches, at a backend that says more than it was asked: what comes behind the answer of the
// search is never the answer of the command.
const counted = memorySettings.replace('search, fetch', '{ command: expunge, max_matches: 5 }');
const expunge = '|alice@example.org|expunge|mailbox|Trash|all';
const good = replyPacket('\n+\n');

void test('a search that fails may say so twice, as it does up to 2.3.16', async () => {
  const engine = openMemoryEngine({ settings: counted });
  engine.setAnswer(() => replyPacket('\n-NOTFOUND\n\n-NOTFOUND\n'));
  const client = await engine.client(1);
  await client.line(expunge);
  assert.equal(engine.commands.length, 1);
  const search = engine.recordsOf('completion')[0];
  assert.deepEqual([search?.command, search?.outcome, search?.status], ['search', 'failed', '-NOTFOUND']);
});

for (const [what, packets] of [
  ['at once', [Buffer.concat([good, good])]],
  ['a moment later', [good, good]],
] as const)
  void test(`two answers to the search, ${what}: the command is not sent`, async () => {
    const engine = openMemoryEngine({ settings: counted });
    engine.setAnswer((line, end) => {
      if (!line.includes('search')) return replyPacket('\n-NOTFOUND\n');
      for (const packet of packets) end.peer.send(packet);
      return undefined;
    });
    const client = await engine.client(1);
    await client.line(expunge);
    assert.equal(engine.commands.length, 1);
    assert.ok(client.said().endsWith('-TEMPFAIL\n'));
    const completion = engine.recordsOf('completion').at(-1);
    assert.deepEqual([completion?.command, completion?.sent], ['expunge', false]);
    assert.notEqual(engine.dialler.ends[0]?.transport.closedFor, undefined);
  });

/** What comes between the question and the answer of the search; what of the command is sent and recorded after that. */
async function meanwhile(rule: string, happens: (engine: MemoryEngine) => Promise<void> | void) {
  const engine = openMemoryEngine({ settings: memorySettings.replace('search, fetch', rule) });
  engine.setAnswer((line) => (line.includes('search') ? undefined : good));
  const client = await engine.client(1);
  await client.line(expunge);
  assert.equal(engine.commands.length, 1);
  await happens(engine);
  engine.commands[0]?.end.peer.send(good);
  await settle();
  return {
    sent: engine.commands.length - 1,
    completion: engine.recordsOf('completion').at(-1),
    idle: engine.pool.snapshot().idle,
  };
}

void test('a rule that ends while its mails are counted allows the command no more', async () => {
  const rule = '{ command: expunge, max_matches: 5, expires: "2026-01-02T03:05:00Z" }';
  const { sent, completion, idle } = await meanwhile(rule, (engine) => engine.clock.leap(60_000));
  assert.deepEqual([sent, completion?.outcome, completion?.sent, idle], [0, 'denied', false, 1]);
});

void test('after a reload while its mails are counted the stricter one counts', async () => {
  const rule = '{ command: expunge, max_matches: 5 }';
  const { sent, completion } = await meanwhile(rule, (engine) => {
    const denies = memorySettings.replace('search, fetch', 'fetch');
    const policy = openMemoryEngine({ settings: denies }).settings.policies.get('support');
    const exchanges = { ...engine.context.exchanges() };
    Object.assign(engine.context, { exchanges: () => exchanges, policy: () => policy });
  });
  assert.deepEqual([sent, completion?.outcome, completion?.sent], [0, 'denied', false]);
});

void test('a search that keeps others from the only upstream ends for them: the command is not sent', async () => {
  const engine = openMemoryEngine({ settings: counted.replace('connections: 2', 'connections: 1') });
  engine.setAnswer((line) => (line.includes('search') ? undefined : good));
  const client = await engine.client(1);
  await client.line(expunge);
  assert.equal(engine.commands.length, 1);
  const other = engine.pool.withLease({
    principal: 'victim@jobs',
    origin: 'victim',
    weight: 1,
    isFresh: false,
    isYoung: false,
    abortable: new Abortable(),
    use: () => Promise.resolve({ value: 'served', closeFor: undefined }),
  });
  await engine.clock.advance(9_900);
  assert.ok(!client.said().includes('-TEMPFAIL'), 'the backend has 10 s');
  await engine.clock.advance(700);
  assert.ok(client.said().endsWith('-TEMPFAIL\n'));
  assert.equal(await other, 'served');
  const ends = engine.recordsOf('completion');
  assert.deepEqual(columns(ends, 'command', 'outcome', 'error', 'sent'), [
    ['search', 'aborted', 'over-share', true],
    ['expunge', 'aborted', 'over-share', false],
  ]);
  assert.equal(engine.commands.length, 1);
});

void test('where the mails are taken from another user, those of that user are counted', async () => {
  const rule = '{ command: move, max_matches: 1, where: { source-user: any } }';
  const engine = openMemoryEngine({ settings: memorySettings.replace('search, fetch', rule) });
  engine.setAnswer(() => replyPacket('guid\t1\tguid\t2\t\n+\n'));
  const client = await engine.client(1);
  await client.line('|alice@example.org|move|Archive|user|bob@example.org|mailbox|INBOX|all');
  assert.ok(client.said().endsWith('-NOPERM\n'));
  assert.deepEqual(column(engine.commands, 'line'), ['\tbob@example.org\tsearch\t--\tmailbox\tINBOX\tall']);
  const [search] = engine.records.map(({ record }) => record).filter(({ command }) => command === 'search');
  assert.equal(search?.user, 'bob@example.org');
});

// Goal: what is recorded beside what was done. A policy that observes refuses nothing by its rules, and the record says what they would
// do; a candidate is compared with what the client got, reasons, limits and numbers of mails in both directions.

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
