// Goal: what an exchange asks besides its policy. Whom the userdb means is judged before anything is recorded as allowed or sent; a
// remembered judgement holds no longer than its rule.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { lookupLimits } from '../../../src/gate/lookup/lookup.js';
import { kernelAccess } from '../../../src/gate/session/greet-peer.js';
import { replyPacket } from '../../kit/gate/memory-backend.js';
import {
  type MemoryEngineOptions,
  memorySettings,
  openMemoryEngine,
  openWithClient,
} from '../../kit/gate/memory-engine.js';
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
