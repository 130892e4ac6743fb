// Goal: who may log in at a listener. What must not happen: an answer, or a cost, that depends on whether a name is an account's; a
// password that stays in memory; a login that outlives a change of its account.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createLoginGuard,
  Logins,
  type PasswordTry,
  RememberedLogins,
  type SaidLogin,
} from '../../../src/gate/login/logins.js';
import { networkOf } from '../../../src/host/ports/peer.js';
import { type Account, hashPassword, parsePasswordHash } from '../../../src/rules/identity/credentials.js';
import { column } from '../../kit/plain/columns.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';

const cheap = 10;

async function account(
  name: string,
  password: string | undefined,
  more: Partial<Account> = {},
): Promise<Account> {
  const hash =
    password === undefined ? undefined : parsePasswordHash(await hashPassword(Buffer.from(password), cheap));
  if (typeof hash === 'string') assert.fail(hash);
  return { name, policy: 'jobs', passwordHash: hash, certificateName: undefined, ...more };
}

function trying(user: string, password: string, more: Partial<PasswordTry> = {}): PasswordTry {
  return {
    address: '192.0.2.1',
    user,
    password: Buffer.from(password),
    certified: undefined,
    signal: new AbortController().signal,
    ...more,
  };
}

const clock = createFakeClock();

async function resultOf(logins: Logins, said: PasswordTry): Promise<string> {
  const { result } = await logins.byPassword(said);
  // Whatever it cost is over before the next one.
  await clock.advance(10_000);
  return result;
}

void test('right, wrong, unknown, and again from memory; the password is wiped each time', async () => {
  const logins = new Logins('jobs', [await account('migrator', 'secret')], createLoginGuard(clock));
  const cases: readonly (readonly [string, string, string])[] = [
    ['migrator', 'secret ', 'failed'],
    ['nobody', 'secret', 'failed'],
    ['', '', 'failed'],
    ['Migrator', 'secret', 'failed'],
    ['migrator', 'secret', 'ok'],
    ['migrator', 'secret', 'remembered'],
    ['migrator', 'wrong', 'failed'],
    ['x'.repeat(5000), 'secret', 'failed'],
  ];
  for (const [user, password, expected] of cases) {
    const said = trying(user, password);
    assert.equal(await resultOf(logins, said), expected, `${user} ${password}`);
    assert.ok(said.password.every((byte) => byte === 0));
  }
  assert.equal(await resultOf(logins, trying('migrator', 'secret', { address: '192.0.2.2' })), 'ok');
});

void test('a name of 128 characters is remembered as it is, a longer one by its digest', async () => {
  const guard = createLoginGuard(clock);
  const logins = new Logins('jobs', [await account('migrator', 'secret')], guard);
  for (const [length, isAsItIs] of [
    [128, true],
    [129, false],
  ] as const) {
    const user = 'x'.repeat(length);
    await logins.byPassword(trying(user, 'wrong'));
    const [, , turn] = guard.history.placeOf({ network: '192.0.2.1', name: `${user}@jobs` }, clock.now());
    assert.equal(turn !== 0, isAsItIs, String(length));
  }
  // The network, twice; each name.
  assert.equal(guard.history.size, 5);
});

void test('a name that is no account, or has no password, costs a hash like any other', async () => {
  const accounts = [
    await account('migrator', 'secret'),
    await account('robot', undefined, { certificateName: 'robot' }),
  ];
  const logins = new Logins('jobs', accounts, createLoginGuard(clock));
  const costs = new Map<string, number>();
  for (const user of ['migrator', 'nobody', 'robot']) {
    for (let n = 0; n < 9; n += 1) {
      // Processor time, not elapsed time: others may keep the machine busy. All of it: how the kernel shares a short time out between user
      // and system is an estimate.
      const before = process.cpuUsage();
      await logins.byPassword(trying(user, `wrong ${n}`, { address: `192.0.2.${n}` }));
      const took = process.cpuUsage(before);
      costs.set(user, (costs.get(user) ?? 0) + took.user + took.system);
    }
  }
  const [most, least] = [Math.max(...costs.values()), Math.min(...costs.values())];
  // Without a hash it would be a hundredth.
  assert.ok(least > most / 10, JSON.stringify([...costs]));
});

void test('twenty at once with the right password are one hash, and all are in', async () => {
  const logins = new Logins('jobs', [await account('migrator', 'secret')], createLoginGuard(clock));
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => logins.byPassword(trying('migrator', 'secret'))),
  );
  assert.ok(answers.every(({ result }) => result === 'ok'));
});

void test('given up: answered at once, while others who say the same are judged', async () => {
  const logins = new Logins('jobs', [await account('migrator', 'secret')], createLoginGuard(clock));
  const [gone, before] = [new AbortController(), AbortSignal.abort()];
  const first = logins.byPassword(trying('migrator', 'secret', { signal: gone.signal }));
  const second = logins.byPassword(trying('migrator', 'secret'));
  gone.abort();
  assert.equal((await first).result, 'gone');
  assert.equal((await second).result, 'ok');
  assert.equal((await logins.byPassword(trying('other', 'x', { signal: before }))).result, 'gone');
});

void test('a remembered login waits for nothing: neither for tokens of its own name nor for a hash that runs', async () => {
  const guard = createLoginGuard(clock);
  const logins = new Logins('jobs', [await account('migrator', 'secret')], guard);
  assert.equal(await resultOf(logins, trying('migrator', 'secret')), 'ok');
  for (let n = 0; n < 50; n += 1)
    guard.history.failed({ network: '192.0.2.1', name: 'migrator@jobs' }, clock.now());
  const hangUp = new AbortController();
  const waiting = logins.byPassword(trying('migrator', 'wrong', { signal: hangUp.signal }));
  const { signal } = hangUp;
  const running = logins.byPassword(trying('other', 'wrong', { address: '192.0.2.9', signal }));
  const { timers } = clock;
  assert.equal((await logins.byPassword(trying('migrator', 'secret'))).result, 'remembered');
  assert.equal(clock.timers, timers);
  hangUp.abort();
  assert.deepEqual(column(await Promise.all([waiting, running]), 'result'), ['gone', 'gone']);
});

void test('an unknown name waits like a wrong password, before and after the tokens are used up', async () => {
  const waitsOf = async (user: string): Promise<readonly unknown[]> => {
    const guard = createLoginGuard(clock);
    const logins = new Logins('jobs', [await account('migrator', 'secret')], guard);
    const seen: unknown[] = [];
    for (let n = 0; n < 6; n += 1) {
      const answer = logins.byPassword(trying(user, `wrong ${n}`));
      seen.push(clock.nextTimerMs);
      if (clock.timers > 0) await clock.advance(1000);
      seen.push(await answer);
    }
    return seen;
  };
  const unknown = await waitsOf('nobody');
  assert.deepEqual(await waitsOf('migrator'), unknown);
  assert.equal(unknown.filter((each) => each === 1000).length, 2);
});

void test('a certificate is enough, with its own name only', async () => {
  const accounts = [
    await account('backup', 'other secret', { certificateName: 'backup.example.com' }),
    await account('robot', undefined, { certificateName: 'robot' }),
    await account('migrator', 'secret'),
  ];
  const logins = new Logins('jobs', accounts, createLoginGuard(clock));
  const byCertificate = (names: readonly string[], address: string, fingerprint = 'f') => {
    const owner = logins.byCertificate({ names, fingerprint, authorities: ['ours'] }, address);
    return owner.kind === 'account' ? owner : assert.equal(owner.kind, 'nobody');
  };
  const backup = byCertificate(['backup.example.com'], '192.0.2.1');
  assert.deepEqual([backup?.login.account, backup?.certificate], ['backup', 'backup.example.com']);
  // Another certificate is the same account, and no proof of who had the one before.
  const renewed = byCertificate(['backup.example.com'], '192.0.2.1', 'g');
  assert.equal(renewed?.login.stamp, backup?.login.stamp);
  assert.notEqual(renewed?.login.shown, backup?.login.shown);
  assert.equal(byCertificate(['backup.example.com'], '192.0.2.1')?.login.shown, backup?.login.shown);
  const robot = byCertificate(['Robot'], '2001:db8::1');
  assert.deepEqual([robot?.login.account, robot?.certificate], ['robot', 'robot']);
  assert.equal(byCertificate(['migrator'], '192.0.2.2'), undefined);
  // What is known of a place afterwards.
  const places = ['192.0.2.1', networkOf('2001:db8::2'), '192.0.2.2'];
  const proven = places.map((place) => logins.isProven(place));
  assert.deepEqual(proven, [true, true, false]);
  const certified = backup?.login;
  assert.equal(await resultOf(logins, trying('backup', '', { certified })), 'certificate');
  assert.equal(await resultOf(logins, trying('migrator', 'secret', { certified })), 'failed');
  assert.equal(await resultOf(logins, trying('robot', '', { certified })), 'failed');
  // Without a certificate its password is enough, and an empty one is none.
  assert.equal(await resultOf(logins, trying('backup', 'other secret')), 'ok');
  assert.equal(await resultOf(logins, trying('robot', '')), 'failed');
});

void test('a listener without any hash lets nobody in by a password', async () => {
  for (const accounts of [[], [await account('robot', undefined, { certificateName: 'robot' })]]) {
    const logins = new Logins('jobs', accounts, createLoginGuard(clock));
    assert.equal(await resultOf(logins, trying('robot', '')), 'failed');
    assert.equal(await resultOf(logins, trying('robot', 'x')), 'failed');
  }
});

void test('after a reload: the same account goes on, one that changed or is gone does not, nor what was remembered of it', async () => {
  const guard = createLoginGuard(clock);
  const before = await account('migrator', 'secret');
  const logins = new Logins('jobs', [before], guard);
  const answer = await logins.byPassword(trying('migrator', 'secret'));
  assert.ok('login' in answer);
  const { login } = answer;
  const policyAfter = (accounts: readonly Account[]): string | undefined =>
    new Logins('jobs', accounts, guard).policyOf(login, undefined);
  assert.equal(logins.policyOf(login, undefined), 'jobs');
  assert.equal(policyAfter([{ ...before }, await account('other', 'x')]), 'jobs');
  assert.equal(policyAfter([]), undefined);
  assert.equal(policyAfter([{ ...before, policy: 'other' }]), undefined);
  const changed = await account('migrator', 'new secret');
  assert.equal(policyAfter([changed]), undefined);
  const after = new Logins('jobs', [changed], guard);
  assert.equal(await resultOf(after, trying('migrator', 'secret')), 'failed');
  assert.equal(await resultOf(after, trying('migrator', 'new secret')), 'ok');
  assert.equal(
    await resultOf(new Logins('jobs', [before], guard), trying('migrator', 'new secret')),
    'failed',
  );
});

void test('a certificate proves as much as the authorities that it was verified under: one of them gone, and it proves nothing', async () => {
  const accounts = [await account('backup', 'secret', { certificateName: 'backup' })];
  const logins = new Logins('jobs', accounts, createLoginGuard(clock));
  const shown = { names: ['backup'], fingerprint: 'f', authorities: ['first', 'second'] };
  const owner = logins.byCertificate(shown, '192.0.2.1');
  assert.ok(owner.kind === 'account');
  const { login: certified } = owner;
  const said = await logins.byPassword(trying('backup', '', { certified }));
  assert.ok('login' in said);
  const cases: readonly (readonly [readonly string[] | undefined, string | undefined])[] = [
    [shown.authorities, 'jobs'],
    [['first', 'second'], 'jobs'],
    [['third', 'second', 'first'], 'jobs'],
    [['first'], undefined],
    [['second', 'third'], undefined],
    [[], undefined],
    [undefined, undefined],
  ];
  // By its certificate alone, and with its name said after STARTTLS.
  for (const login of [certified, said.login]) {
    for (const [now, expected] of cases)
      assert.equal(logins.policyOf(login, now), expected, JSON.stringify(now));
  }
  const byPassword = await logins.byPassword(trying('backup', 'secret'));
  assert.ok('login' in byPassword);
  for (const [now] of cases) assert.equal(logins.policyOf(byPassword.login, now), 'jobs');
});

void test('of an account is known when it was used last and from where, and how often it was refused', async () => {
  const guard = createLoginGuard(clock);
  const logins = new Logins('jobs', [await account('migrator', 'secret')], guard);
  const used = () => guard.keyUses.of('jobs', 'migrator');
  const failed = { failures: 1, lastFailedMs: clock.wallMs(), failedFrom: networkOf('192.0.2.1') };
  await resultOf(logins, trying('migrator', 'wrong'));
  await resultOf(logins, trying('nobody', 'wrong'));
  assert.deepEqual(used(), { lastUsedMs: undefined, lastFrom: undefined, ...failed });
  assert.equal(guard.keyUses.of('jobs', 'nobody').failures, 0);
  for (const [address, result] of [
    ['192.0.2.1', 'ok'],
    ['192.0.2.1', 'remembered'],
    ['2001:db8::7', 'ok'],
  ] as const) {
    const nowMs = clock.wallMs();
    const { result: found } = await logins.byPassword(trying('migrator', 'secret', { address }));
    assert.equal(found, result);
    assert.deepEqual(used(), { lastUsedMs: nowMs, lastFrom: networkOf(address), ...failed });
    await clock.advance(10_000);
  }
});

// Who logged in a few minutes ago is let in at once, and nobody else.
const known: SaidLogin = {
  listener: 'jobs',
  network: '192.0.2.1',
  account: 'migrator',
  password: Buffer.from('secret'),
  hash: 'scrypt$1',
};
const guess: SaidLogin = { ...known, password: Buffer.from('Secret') };
const minute = 60_000;

void test('the same login within five minutes, and nothing that differs in anything', () => {
  const logins = new RememberedLogins();
  assert.equal(logins.has(known, 0), false);
  logins.remember(known, 0);
  const others: readonly Partial<SaidLogin>[] = [
    { listener: 'other' },
    { network: '192.0.2.2' },
    { account: 'other' },
    { password: Buffer.from('') },
    { password: Buffer.from('secret ') },
    // The password was changed, by a reload.
    { hash: 'scrypt$2' },
  ];
  for (const other of others) {
    assert.equal(logins.has({ ...known, ...other }, 1), false, Object.keys(other).join());
  }
  assert.equal(logins.has(known, 5 * minute - 1), true);
  assert.equal(logins.has(known, 5 * minute), false);
});

void test('it is not held longer by being used, or judged again', () => {
  const logins = new RememberedLogins();
  logins.remember(known, 0);
  logins.remember(known, 4 * minute);
  assert.equal(logins.has(known, 4 * minute), true);
  assert.equal(logins.has(known, 5 * minute), false);
});

void test('after 1,024 wrong guesses nobody is remembered there until the five minutes are over, whoever is judged meanwhile', () => {
  const logins = new RememberedLogins();
  logins.remember(known, 0);
  for (let n = 0; n < 1023; n += 1) assert.equal(logins.has(guess, 1), false);
  assert.equal(logins.has(known, 1), true);
  assert.equal(logins.has(guess, 1), false);
  assert.equal(logins.has(known, 1), false);
  logins.remember(known, 2);
  assert.equal(logins.has(known, 3), false);
  logins.remember(known, 5 * minute);
  assert.equal(logins.has(known, 5 * minute), true);
});

void test('the table is bounded: the oldest go', () => {
  const logins = new RememberedLogins();
  logins.remember(known, 0);
  for (let n = 0; n < 5000; n += 1) logins.remember({ ...known, account: `a${n}` }, n / 100);
  assert.equal(logins.size, 4096);
  assert.equal(logins.has(known, 60), false);
  assert.equal(logins.has({ ...known, account: 'a4999' }, 60), true);
});
