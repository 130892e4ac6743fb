// Goal: who comes in by a key. What must not happen: a right key that waits because of wrong ones, from wherever they come; a wrong key
// that costs nothing; a login that outlives its key.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { KeyUses } from '../../../src/gate/login/key-uses.js';
import { createLoginGuard, type KeyTry, Logins } from '../../../src/gate/login/logins.js';
import { hashKey, type Key, keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';

const right = makeKey(randomBytes(keyBytes));
const wrong = makeKey(randomBytes(keyBytes));

function keyOf(text: string, more: Partial<Key> = {}): Key {
  const hashes = [{ sha256: hashKey(text).slice(7), untilMs: undefined }];
  return { name: 'modoboa', policy: 'panel', hashes, expiresMs: undefined, from: [], ...more };
}

function open(keys: readonly Key[] = [keyOf(right)]) {
  const clock = createFakeClock();
  const guard = createLoginGuard(clock);
  return { clock, guard, logins: new Logins('panel', [], guard, keys) };
}

function trying(text: string, more: Partial<KeyTry> = {}): KeyTry {
  return { text, name: undefined, address: '192.0.2.1', signal: new AbortController().signal, ...more };
}

void test('a right key is in, under its name, and its use is known', async () => {
  const { clock, guard, logins } = open();
  assert.equal(guard.keyUses.of('panel', 'modoboa').lastUsedMs, undefined);
  for (const name of [undefined, 'modoboa']) {
    const answer = await logins.byKey(trying(right, { name }));
    assert.ok('login' in answer);
    assert.deepEqual([answer.result, answer.login.account], ['ok', 'modoboa']);
    assert.equal(logins.policyOf(answer.login, undefined, '192.0.2.1'), 'panel');
  }
  assert.equal(guard.keyUses.of('panel', 'modoboa').lastUsedMs, clock.wallMs());
  assert.ok(logins.isProven('192.0.2.1'));
});

void test('what failed is told by the name of the key where there is one, by the first part of the text where not', async () => {
  const { clock, guard, logins } = open([
    keyOf(right, { from: ['192.0.2.0/24'], expiresMs: createFakeClock().wallMs() + 60_000 }),
  ]);
  const failed = async (said: KeyTry) => {
    const answer = await logins.byKey(said);
    assert.ok(!('login' in answer), 'it is not in');
    return [answer.result, answer.key?.shown, answer.key?.why];
  };
  assert.deepEqual(await failed(trying(wrong)), ['failed', wrong.slice(0, 12), undefined]);
  assert.deepEqual(await failed(trying('secret')), ['failed', undefined, undefined]);
  assert.deepEqual(await failed(trying(`${right}x`)), ['failed', undefined, undefined]);
  const address = '198.51.100.1';
  assert.deepEqual(await failed(trying(right, { address })), ['failed', 'modoboa', 'address']);
  const other = { name: 'graph', address: '192.0.2.2' };
  assert.deepEqual(await failed(trying(right, other)), ['failed', 'modoboa', 'name']);
  assert.equal(guard.keyUses.of('panel', 'modoboa').failures, 2);
  await clock.advance(60_000);
  assert.deepEqual(await failed(trying(right)), ['failed', 'modoboa', 'expired']);
  assert.deepEqual(guard.keyUses.of('panel', 'modoboa'), {
    lastUsedMs: undefined,
    lastFrom: undefined,
    failures: 3,
    lastFailedMs: clock.wallMs(),
    failedFrom: '192.0.2.1',
  });
});

void test('a login ends with its key: gone, another hash, another policy, expired', async () => {
  const { clock, guard, logins } = open();
  const answer = await logins.byKey(trying(right));
  assert.ok('login' in answer);
  const policyAfter = (...keys: readonly Key[]): string | undefined =>
    new Logins('panel', [], guard, keys).policyOf(answer.login, undefined, '192.0.2.1');
  const key = keyOf(right);
  assert.equal(policyAfter(key, keyOf(wrong, { name: 'graph' })), 'panel');
  assert.equal(policyAfter({ ...key, hashes: [...key.hashes, ...keyOf(wrong).hashes] }), 'panel');
  assert.equal(policyAfter(), undefined);
  assert.equal(policyAfter(keyOf(wrong)), undefined);
  assert.equal(policyAfter({ ...key, name: 'graph' }), undefined);
  assert.equal(policyAfter({ ...key, policy: 'other' }), undefined);
  assert.equal(policyAfter({ ...key, from: ['198.51.100.0/24'] }), undefined);
  const expiring = { ...key, expiresMs: clock.wallMs() + 1000 };
  assert.equal(policyAfter(expiring), 'panel');
  await clock.advance(1000);
  assert.equal(policyAfter(expiring), undefined);
});

// bounds.loginFailures, bounds.loginPauseMs
void test('after four wrong keys of one address each further one waits for a second; the right key does not, there or elsewhere', async () => {
  const { clock, logins } = open();
  const waits: number[] = [];
  for (const text of [wrong, wrong, wrong, wrong, wrong, 'no key', wrong]) {
    const state = { isOver: false };
    const startedMs = clock.now();
    const failing = logins.byKey(trying(text)).then((answer) => {
      state.isOver = true;
      assert.equal(answer.result, 'failed');
    });
    await settle();
    // No timer is turned for it: it would hang here.
    for (const address of ['192.0.2.1', '198.51.100.1']) {
      assert.equal((await logins.byKey(trying(right, { address }))).result, 'ok');
    }
    while (!state.isOver) await clock.advance(10);
    await failing;
    waits.push(clock.now() - startedMs);
  }
  assert.deepEqual(waits, [0, 0, 0, 0, 1000, 1000, 1000]);
  assert.equal(clock.timers, 0);
});

void test('wrong keys take no token from passwords of their network', async () => {
  const { clock, guard, logins } = open();
  const gone = AbortSignal.abort();
  for (let n = 0; n < 100; n += 1) await logins.byKey(trying(wrong, { signal: gone }));
  assert.equal(guard.history.waitMs({ network: '192.0.2.1', name: 'x' }, clock.now()), 0);
});

void test('a thousand wrong keys at once, from one address and from a thousand: the right key is in without a timer', async () => {
  for (const addressOf of [() => '192.0.2.1', (at: number) => `10.0.${at >> 8}.${at & 255}`]) {
    const { clock, logins } = open();
    const hangUps: AbortController[] = [];
    const answers = Array.from({ length: 1000 }, (_, at) => {
      const gone = new AbortController();
      hangUps.push(gone);
      const text = makeKey(randomBytes(keyBytes));
      return logins.byKey(trying(text, { address: addressOf(at), signal: gone.signal }));
    });
    assert.equal((await logins.byKey(trying(right, { address: '198.51.100.1' }))).result, 'ok');
    // Whoever is still waiting hangs up.
    for (const each of hangUps) each.abort();
    const results = new Set((await Promise.all(answers)).map(({ result }) => result));
    assert.ok(!results.has('ok'));
    assert.equal(clock.timers, 0);
  }
});

void test('a listener without keys lets nobody in by one', async () => {
  const { logins } = open([]);
  assert.equal((await logins.byKey(trying(right))).result, 'failed');
});

// Goal: of each key is known when it was used last, and how often it was refused; keys of the same name on two listeners are two.
void test('uses and failures by listener and key', () => {
  const uses = new KeyUses();
  assert.deepEqual(uses.of('panel', 'modoboa'), { lastUsedMs: undefined, lastFrom: undefined, failures: 0 });
  uses.used('panel', 'modoboa', 1000, '192.0.2.7');
  uses.used('panel', 'modoboa', 2000, '192.0.2.7');
  const [nobody, refused] = [
    { lastUsedMs: undefined, lastFrom: undefined },
    { failures: 1, lastFailedMs: 3000, failedFrom: '192.0.2.8' },
  ];
  uses.refused('panel', 'modoboa', 3000, '192.0.2.8');
  uses.refused('graph', 'modoboa', 3000, '192.0.2.8');
  const used = { lastUsedMs: 2000, lastFrom: '192.0.2.7', ...refused };
  assert.deepEqual(uses.of('panel', 'modoboa'), used);
  assert.deepEqual(uses.of('graph', 'modoboa'), { ...nobody, ...refused });
  for (const name of ['modoboa@panel', 'modoboa@graph', 'other@panel']) uses.ran(name, 9000);
  assert.deepEqual(uses.of('panel', 'modoboa'), { ...used, lastUsedMs: 9000 });
  assert.deepEqual(uses.of('graph', 'modoboa'), { ...nobody, ...refused });
  assert.deepEqual(uses.of('panel', 'other'), { ...nobody, failures: 0 });
});
