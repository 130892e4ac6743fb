// Tokens for the report of one mailbox: whom they open it for, and everything that ends them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OwnerReports, type ReportKey } from '../../../src/gate/access/owner-reports.js';
import { accessRightsOf } from '../../../src/gate/daemon/engine-parts.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import type { Settings } from '../../../src/rules/config/settings.js';
import { Persons } from '../../../src/rules/identity/person.js';
import { hashKey, KeyRing, keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';
import { parse, sound } from '../../rules/config/sound.js';

const alice = 'alice@example.org';
const text = makeKey(new Uint8Array(keyBytes).fill(7));

function settingsWith(key: string, policy = 'users: ["*@example.org"], except: ["ceo@example.org"]') {
  const keys = `keys: { panel: { hash: "${hashKey(text)}", policy: panels${key} } }`;
  return settingsOf(
    sound
      .replace(
        'listeners:\n',
        `listeners:\n  web: { tcp: "127.0.0.1:9", protocol: http, tls: { mode: off }, from: [192.0.2.0/24], ${keys} }\n`,
      )
      .replace('policies:\n', `policies:\n  panels: { ${policy} }\n`),
  );
}

/** Warnings are right here: such a policy allows nothing else. */
function settingsOf(written: string): Settings {
  const { settings, problems } = parse(written);
  return settings ?? assert.fail(JSON.stringify(problems));
}

const withRight = settingsWith(', owner_reports: true');

function keyIn(settings: typeof withRight, address = '192.0.2.9'): ReportKey {
  const keys = settings.listeners.find(({ name }) => name === 'web')?.keys ?? [];
  const found = new KeyRing(keys).find(text, { address, nowMs: 0, name: undefined });
  const stamp = 'stamp' in found ? found.stamp : '';
  const names = {
    listener: 'web',
    name: 'panel',
    principal: 'panel@web',
    human: { identities: ['key:panel'] },
  };
  return { ...names, stamp, address };
}

function open() {
  const clock = createFakeClock();
  let locked = false;
  let settings = withRight;
  let made = 0;
  const reports = new OwnerReports({
    clock,
    isLocked: () => locked,
    newToken: () => `token ${++made}`,
    policyOf: (key) =>
      accessRightsOf(settings, new Persons(new Map()), () => Promise.resolve(true)).reportPolicyOf(
        key,
        clock.wallMs(),
      ),
  });
  const key = keyIn(withRight);
  const token = (user = alice, by = key): string => {
    const answered = reports.make(by, user);
    assert.ok('token' in answered, JSON.stringify(answered));
    return answered.token;
  };
  return {
    clock,
    reports,
    key,
    token,
    lock: (is: boolean) => void (locked = is),
    turnTo: (next: typeof withRight) => void (settings = next),
  };
}

const isOver = (reports: OwnerReports, token: string): boolean => reports.open(token) === undefined;

// bounds.reportTokenMs, bounds.reportTokenReads
void test('a token opens one report, for some minutes and some readings', async () => {
  const { clock, reports, token } = open();
  const [one, other] = [token(), token('bob@example.org')];
  const until = new Date(clock.wallMs() + bounds.reportTokenMs).toISOString();
  assert.deepEqual(reports.open(one), { user: alice, by: 'panel@web', until });
  assert.equal(reports.open(other)?.user, 'bob@example.org');
  for (const wrong of ['', 'token 3', alice]) assert.ok(isOver(reports, wrong));
  for (let reads = 1; reads < bounds.reportTokenReads; reads += 1) assert.ok(!isOver(reports, one));
  assert.ok(isOver(reports, one));
  await clock.advance(bounds.reportTokenMs - 1);
  assert.ok(!isOver(reports, other));
  await clock.advance(1);
  assert.ok(isOver(reports, other));
});

void test('the wall clock prolongs nothing', async () => {
  const { clock, reports, token } = open();
  const one = token();
  clock.leap(-3_600_000);
  await clock.advance(bounds.reportTokenMs);
  assert.ok(isOver(reports, one));
});

void test('only a key with the right asks, within the users of its policy, from where it may be used', () => {
  const { reports, key, turnTo } = open();
  const whyNot = (by: ReportKey, user: string): string => {
    const made = reports.make(by, user);
    return 'kind' in made ? `${made.code}: ${made.reason}` : 'made';
  };
  const noRight = 'access-denied: only a key with owner_reports: true may ask for the report of an owner';
  assert.equal(whyNot(key, alice), 'made');
  assert.equal(whyNot(key, 'ceo@example.org'), 'access-denied: policy "panels" does not cover this user');
  assert.equal(whyNot(key, 'x@other.test'), 'access-denied: policy "panels" does not cover this user');
  assert.equal(whyNot({ ...key, address: '198.51.100.1' }, alice), noRight);
  assert.equal(whyNot({ ...key, listener: 'support' }, alice), noRight);
  assert.equal(whyNot({ ...key, stamp: '' }, alice), noRight);
  turnTo(settingsWith(''));
  assert.equal(whyNot(key, alice), noRight);
});

void test('a token ends with its key, its right, its policy, and a lock', () => {
  const { reports, token, turnTo, lock } = open();
  const one = token();
  const ends = [
    settingsWith(''),
    settingsWith(', owner_reports: true', 'users: ["*@example.org"], except: ["alice@example.org"]'),
    settingsWith(', owner_reports: true', 'users: ["bob@example.org"]'),
    settingsWith(', owner_reports: true, expires: 2020-01-01'),
    settingsWith(', owner_reports: true, from: [198.51.100.0/24]'),
    settingsOf(sound),
  ];
  for (const [at, next] of ends.entries()) {
    turnTo(next);
    assert.ok(isOver(reports, one), String(at));
  }
  turnTo(withRight);
  lock(true);
  assert.ok(isOver(reports, one));
  lock(false);
  assert.equal(reports.open(one)?.user, alice);
});

// bounds.reportTokensOfKey, bounds.reportTokens
void test('so many tokens of a key, and of all keys; used-up ones make room', async () => {
  const { clock, reports, key, token } = open();
  const first = token();
  for (let made = 1; made < bounds.reportTokensOfKey; made += 1) token();
  assert.deepEqual(reports.make(key, alice), {
    kind: 'refused',
    code: 'access-limit',
    reason: 'too many tokens for reports are valid at once',
  });
  for (let reads = 0; reads < bounds.reportTokenReads; reads += 1) reports.open(first);
  token();
  for (let at = 1; at < bounds.reportTokens / bounds.reportTokensOfKey; at += 1)
    for (let made = 0; made < bounds.reportTokensOfKey; made += 1)
      token(alice, { ...key, principal: `panel${at}@web` });
  assert.ok('kind' in reports.make({ ...key, principal: 'last@web' }, alice));
  await clock.advance(bounds.reportTokenMs);
  token(alice, { ...key, principal: 'last@web' });
});
