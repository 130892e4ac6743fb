// Goal: whatever number of refusals and sessions comes, an origin leaves a bounded number of records and one count a second.
// What must not happen: a burst without its details, one that is neither recorded nor counted, a timer that stays, one origin that
// hides another.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EngineEvent } from '../../../src/gate/outcome/events.js';
import { appendQuietly, createFloodWatch, type FloodWatch } from '../../../src/gate/outcome/journal.js';
import { JournalFault } from '../../../src/host/ports/faults.js';
import type { Journal } from '../../../src/journal/records/appending.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';

function journalOf(append: Journal['append'], isOverShare = false): Journal {
  const appendDurable = () => assert.fail('nobody waits for it');
  return {
    state: 'writable',
    space: 'normal',
    isOverShare: () => isOverShare,
    isCrashProof: true,
    refusal: undefined,
    append,
    appendDurable,
    checkpoint: appendDurable,
    close: () => Promise.resolve(),
  };
}

/** `told`: `PRINCIPAL ACTION COUNT` of each record. */
function open(isOverShare = false) {
  const clock = createFakeClock();
  const told: string[] = [];
  const records: AuditRecord[] = [];
  const journal = journalOf((record) => {
    records.push(record);
    assert.equal(record.event, 'limit');
    const who =
      record.principal ?? (record.listener && `${record.peer?.address ?? 'anywhere'} at ${record.listener}`);
    told.push(`${who ?? '?'} ${record.action ?? '?'} ${record.count ?? '?'}`);
    return undefined;
  }, isOverShare);
  return { clock, told, records, watch: createFloodWatch({ clock, journal, observe: () => undefined }) };
}

/** An origin with the name of its principal. */
function of(principal: string) {
  return { origin: principal, principal };
}

function admitted(watch: FloodWatch, principal: string, count: number): number {
  return Array.from({ length: count }, () => watch.admit('refused', of(principal))).filter(Boolean).length;
}

// bounds.floodBurst bounds.floodPerSecond
void test('a burst is recorded, then ten a second; the others become one record when the second is over', async () => {
  const { clock, watch, told } = open();
  assert.equal(admitted(watch, 'bob@support', 25), 25);
  assert.equal(admitted(watch, 'bob@support', 75), 75);
  assert.equal(clock.timers, 0, 'nothing to tell');
  assert.equal(admitted(watch, 'bob@support', 5000), 0);
  assert.equal(admitted(watch, 'alice@support', 3), 3, 'another principal has a count of its own');
  assert.equal(watch.admit('session', of('bob@support')), true, 'sessions are counted by themselves');
  await clock.advance(999);
  assert.deepEqual(told, []);
  await clock.advance(1);
  assert.deepEqual(told, ['bob@support refused 5000']);
  assert.equal(clock.timers, 0);
  assert.equal(admitted(watch, 'bob@support', 11), 10);
  await clock.advance(9_000);
  assert.equal(admitted(watch, 'bob@support', 101), 90, 'ten more for each second');
  await clock.advance(11_000);
  assert.equal(admitted(watch, 'bob@support', 101), 100);
});

void test('over an hour it is no more than ten a second', async () => {
  const { clock, watch } = open();
  let recorded = 0;
  for (let at = 0; at < 3_600 * 4; at += 1) {
    recorded += admitted(watch, 'bob@support', 30);
    await clock.advance(250);
  }
  assert.ok(recorded > 35_000 && recorded <= 36_100, String(recorded));
});

void test('of a principal that wrote too much one refusal a minute is recorded, and the others are a number', async () => {
  const { clock, watch, told } = open(true);
  assert.equal(admitted(watch, 'bob@support', 5000), 1);
  await clock.advance(59_999);
  assert.equal(admitted(watch, 'bob@support', 100), 0);
  assert.deepEqual(told, []);
  await clock.advance(1);
  assert.deepEqual(told, ['bob@support refused 5099']);
  assert.equal(admitted(watch, 'bob@support', 100), 1);
  watch.tell();
});

void test('a second that began later is told too, without another refusal', async () => {
  const { clock, watch, told } = open();
  admitted(watch, 'bob@support', 102);
  await clock.advance(600);
  admitted(watch, 'alice@support', 104);
  await clock.advance(400);
  assert.deepEqual(told, ['bob@support refused 2']);
  await clock.advance(1000);
  assert.deepEqual(told, ['bob@support refused 2', 'alice@support refused 4']);
  assert.equal(clock.timers, 0);
});

void test('at the end everything is told, whatever the second', () => {
  const { clock, watch, told } = open();
  admitted(watch, 'bob@support', 102);
  for (let count = 0; count < 15; count += 1) watch.admit('session', of('bob@support'));
  watch.tell();
  assert.deepEqual(told, ['bob@support refused 2', 'bob@support session 5']);
  assert.equal(clock.timers, 0);
  watch.tell();
  assert.equal(told.length, 2, 'once');
});

void test('one human with several names: their number is that of the human, not of one name', () => {
  const { watch, told, records } = open();
  for (let count = 0; count < 105; count += 1)
    watch.admit('refused', { origin: 'uid:1001', principal: count < 102 ? 'anna@a' : 'anna@b' });
  watch.tell();
  assert.deepEqual(told, ['? refused 5']);
  assert.match(encodeBody(records[0] ?? assert.fail()), /"event":"limit","origin":"uid:1001","action"/);
});

void test('more principals than can be told apart are counted together', () => {
  const { watch, told } = open();
  for (let count = 0; count < 5000; count += 1) watch.admit('refused', of(`p${count}@support`));
  watch.tell();
  assert.deepEqual(told, ['? refused 904']);
});

void test('who has no name yet is told by the place on the network, and by the listener', () => {
  const { watch, told } = open();
  for (const listener of ['jobs', 'panel']) {
    for (let count = 0; count < 12; count += 1)
      watch.admit('login-failed', { network: '192.0.2.1', listener: listener });
  }
  watch.tell();
  assert.deepEqual(told, ['192.0.2.1 at jobs login-failed 2', '192.0.2.1 at panel login-failed 2']);
});

void test('strangers from everywhere leave no more than one from one place', () => {
  const { watch, told } = open();
  for (let n = 0; n < 100; n += 1) watch.admit('login-failed', { network: `192.0.2.${n}`, listener: 'jobs' });
  watch.tell();
  assert.deepEqual(told, ['anywhere at jobs login-failed 90']);
});

void test('a record that does not get to the journal is told, and thrown at nobody', () => {
  const events: EngineEvent[] = [];
  const appended: AuditRecord[] = [];
  const journal = journalOf((record) => {
    appended.push(record);
    return appended.length === 1 ? undefined : new JournalFault('closed', 'it is closed');
  });
  const record = { time: 0, event: 'session-open' } as const;
  for (let n = 0; n < 2; n += 1) appendQuietly(journal, (event) => events.push(event), record);
  assert.deepEqual(appended, [record, record]);
  assert.deepEqual(events, [{ kind: 'audit-failed', level: 'error', text: 'it is closed' }]);
});
