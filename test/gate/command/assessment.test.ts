// Goal: a line that is known is told apart from every other, and comes to the same as one that is not: sent, counted, recorded. What
// must not happen: an answer for somebody else, one from before an upgrade, a remembered secret, somebody who should be asked again and
// is not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { knownLineOf, lineKey, lineScope } from '../../../src/gate/command/assessment.js';
import { assess, fateOf, plainLine } from '../../../src/rules/policy/assess.js';
import { type GrantsAtHand, underAnyGrant } from '../../../src/rules/policy/grant.js';
import { nothingAsked } from '../../../src/rules/policy/route.js';
import {
  type MemoryEngineOptions,
  memorySettings,
  openMemoryEngine,
  openWithClient,
} from '../../kit/gate/memory-engine.js';

const line = '|alice@example.org|quota get';

/** The same line from one client again and again: what was sent of it, what was recorded, what the client heard. */
async function repeat(text: string, times: number, options: MemoryEngineOptions = {}) {
  const { engine, client } = await openWithClient(2, options);
  for (let n = 0; n < times; n += 1) await client.line(text);
  const { knownLines } = engine.context.exchanges();
  return {
    engine,
    client,
    sent: engine.commands.map((command) => command.line.replaceAll('\t', '|')),
    admissions: engine.recordsOf('admission'),
    completions: engine.recordsOf('completion'),
    known: knownLines.size,
  };
}

void test('what is known of a line comes to the same: the line that is sent, both records', async () => {
  const { sent, admissions, completions, known } = await repeat(line, 4);
  assert.equal(known, 1);
  assert.deepEqual(sent, Array<string>(4).fill('|alice@example.org|quota get|--'));
  assert.equal(new Set(admissions.map(({ id }) => id)).size, 4);
  for (const records of [admissions, completions]) {
    // The first one came before the series of the backend was known, the second one before the line was.
    const [, second, ...others] = records.map((record) => ({ ...record, id: '' }));
    assert.equal(others.length, 2);
    for (const other of others) assert.deepEqual(other, second);
  }
});

void test('what a grant allows is not remembered: the next time the grant is looked at again', async () => {
  const settings = memorySettings.replace(/^( +)allow: /m, '$1on_request: [mailbox delete]\n$1allow: ');
  const { engine } = await repeat(line, 2, { settings });
  const { router } = engine.context.exchanges();
  const policy = engine.context.policy({ listener: 'support', uid: 1000 }, undefined) ?? assert.fail();
  const found = (grants: GrantsAtHand | undefined, ...words: string[]) => {
    const subject = { listener: 'support', principal: 'x@support', clientMinor: 2, policy, grants };
    const asked = plainLine('alice@example.org', words);
    const assessed = assess(asked, subject, router.table, nothingAsked, 0);
    const remembered = knownLineOf(asked, { ...assessed, obstacle: undefined }, (value) => ({ hmac: value }));
    return [fateOf(assessed), remembered !== undefined];
  };
  assert.deepEqual(found(underAnyGrant, 'mailbox delete', 'Old'), ['allow', false]);
  assert.deepEqual(found(undefined, 'mailbox delete', 'Old'), ['deny', false]);
  assert.deepEqual(found(underAnyGrant, 'quota', 'get'), ['allow', true]);
});

void test('its limits are counted each time, and a reason is for one command', async () => {
  const limited = memorySettings.replace('[quota get,', '[{ command: quota get, limit: 2/hour },');
  const { sent, completions } = await repeat(line, 3, { settings: limited });
  assert.deepEqual([sent.length, completions.at(-1)?.outcome], [2, 'limited']);
  const { engine, client } = await openWithClient(2);
  await client.line(line);
  await client.line('||OPTION|dovegate-reason=ticket 7');
  await client.line(line);
  await client.line(line);
  const reasons = engine.recordsOf('admission').map(({ reason }) => reason);
  assert.deepEqual(reasons, [undefined, 'ticket 7', undefined]);
  assert.ok(engine.commands.every((each) => !each.line.includes('ticket')));
});

void test('what is not settled by the line is not remembered', async () => {
  const refused = await repeat('|alice@example.net|quota get', 2);
  assert.deepEqual([refused.known, refused.completions.at(-1)?.outcome], [0, 'denied']);
  assert.equal((await repeat('|alice@example.org|search|text|invoice', 2)).known, 0);
  assert.equal((await repeat('||who', 2)).known, 0);
  assert.equal((await repeat(`${line}|${'x'.repeat(600)}`, 1)).known, 0);
  const settings = `${memorySettings}mail_users: { resolve: /run/dovecot/dovegate-userdb }\n`;
  let asked = 0;
  const auth = (_kind: string, user: string): string => {
    asked += 1;
    return `USER|${user}`;
  };
  const resolved = await repeat(line, 1, { settings, auth });
  assert.deepEqual([resolved.known, asked], [0, 1]);
});

void test('every part of who asks, and every byte, makes another key', () => {
  const policy = openMemoryEngine().settings.policies.get('support') ?? assert.fail('no policy');
  const other = openMemoryEngine({ settings: memorySettings.replace('quota get, ', '') });
  const changed = other.settings.policies.get('support') ?? assert.fail('no policy');
  const subject = { listener: 'support', principal: 'a@support', clientMinor: 2, policy };
  const bytes = Buffer.from('\ta\tquota get');
  const keys = [
    lineKey(lineScope(subject), bytes),
    lineKey(lineScope({ ...subject, clientMinor: 3 }), bytes),
    lineKey(lineScope({ ...subject, policy: changed }), bytes),
    lineKey(lineScope({ ...subject, policy: { ...policy, name: 'other' } }), bytes),
    lineKey(lineScope({ ...subject, listener: 'other' }), bytes),
    lineKey(lineScope({ ...subject, principal: 'b@support' }), bytes),
    lineKey(lineScope(subject), Buffer.from('v\ta\tquota get')),
    lineKey(lineScope(subject), Buffer.from('\ta\tquota\tget')),
    lineKey(lineScope(subject), Buffer.from([0x09, 0xc3, 0xa9])),
    lineKey(lineScope(subject), Buffer.from([0x09, 0xe9])),
  ];
  assert.equal(new Set(keys).size, keys.length);
  assert.ok(!keys.includes(undefined));
});

// Goal: what is remembered of lines is bounded in its length and in its number.
void test('a longer line is not remembered', () => {
  assert.ok(lineKey('1\0', Buffer.alloc(512)) !== undefined);
  assert.equal(lineKey('1\0', Buffer.alloc(512 + 1)), undefined);
});

void test('so many principals are told apart; one more, and all of them get a new number', () => {
  const policy = openMemoryEngine().context.policy({ listener: 'support', uid: 1000 }, undefined);
  assert.ok(policy !== undefined);
  const scopeOf = (at: number): string =>
    lineScope({ listener: 'support', principal: `p${at}@support`, clientMinor: 2, policy });
  const first = scopeOf(0);
  assert.equal(scopeOf(0), first);
  const scopes = new Set(Array.from({ length: 1000 + 1 }, (_, at) => scopeOf(at)));
  assert.equal(scopes.size, 1000 + 1);
  assert.notEqual(scopeOf(0), first);
});
