// Goal: a question is judged as the line of a client would be, in words and in JSON; what is wrong with it is said; its limits are a
// client's.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../src/host/bounds/bounds.js';
import { readerOf } from '../../src/host/values/fit.js';
import { type Explain, endpoints } from '../../src/page/answers/endpoints.js';
import { explainAsked } from '../../src/page/explain-asked.js';
import { Refusal } from '../../src/page/http/page-request.js';
import { runTests } from '../../src/rules/answers/policy-tests.js';
import { parseSettings } from '../../src/rules/config/parse-settings.js';
import { routingTableOf } from '../../src/rules/config/settings.js';
import { createFakeClock } from '../kit/plain/fake-clock.js';

const hash = `sha256$${'a'.repeat(64)}`;
const configuration = `version: 1
listeners:
  support:
    unix: support.sock
    policies: [{ peers: { users: [anna], groups: [helpdesk] }, policy: support }, { policy: watch }]
  web: { tcp: "0.0.0.0:8443", protocol: http, tls: { certificate: c, key: k }, keys: { panel: { hash: "${hash}", policy: support }, old: { hash: "${hash.replace('aa', 'bb')}", policy: support, expires: 2025-01-01 } } }
mail_users: { default_realm: example.com }
backends:
  mail1: { address: "127.0.0.1:24245", tls: off, password_file: mail1.password, shared_namespaces: [] }
routes: [{ users: ["*@example.com", "*@example.net"], backend: mail1 }]
policies:
  support:
    users: ["*@example.com"]
    allow:
      - quota get
      - mailbox list
      - { command: flags add, where: { query: { mailbox: [Trash] } }, reason: required }
  watch: { mode: observe, users: ["*@example.com"], allow: [quota get] }
`;

function settingsWith(text: string) {
  const { settings, problems } = parseSettings('d.yaml', { readText: () => text, glob: () => [] });
  assert.ok(settings, JSON.stringify(problems));
  return settings;
}

const settings = settingsWith(configuration);
const judging = {
  settings,
  table: routingTableOf(settings),
  sessionLimits: { lineBytesMax: 10_000, httpBodyBytesMax: 300 },
  policyOf: ({ groups }: { readonly groups?: readonly number[] | undefined }) =>
    groups?.includes(500) === true ? 'support' : 'watch',
};

async function ask(asked: Explain, from = judging) {
  const lookUp = (uid: number) =>
    Promise.resolve({ name: uid === 7 ? 'anna' : 'bert', gids: uid === 9 ? [] : [500] });
  return explainAsked(asked, from, createFakeClock(), lookUp);
}

/** The status and the sentence. */
const refusalOf = (asked: Explain): Promise<string> =>
  ask(asked).then(
    () => 'answered',
    (fault: unknown) =>
      fault instanceof Refusal ? `${fault.status} ${fault.message}` : assert.fail(String(fault)),
  );

/** A test that the page offers must pass. */
function passes(offered: string | undefined): boolean {
  assert.ok(offered !== undefined);
  const [outcome] = runTests(settingsWith(configuration + offered), 0);
  return outcome?.isPassed === true;
}

void test('allowed: rule, place, canonical form; the test that is offered passes', async () => {
  const { explained, recorded } = await ask({
    listener: 'support',
    uid: 7,
    user: 'BOB',
    words: ['quota', 'get'],
  });
  assert.equal(explained.decision, 'allow');
  assert.equal(explained.text, 'allowed by d.yaml:15, a rule of policy support');
  assert.deepEqual(explained.rule, { command: 'quota get', says: [], place: 'd.yaml:15' });
  assert.deepEqual(explained.sent, ['quota get', '--']);
  assert.equal(explained.principal, 'anna@support');
  assert.equal(explained.concerns, 'bob@example.com');
  assert.deepEqual(recorded, ['-u', 'bob@example.com', '--', 'quota get', '--']);
  assert.equal(
    explained.test,
    'tests:\n  - listener: support\n    as: { user: anna }\n    user: BOB\n    command: [quota, get]\n    expect: allow\n',
  );
  assert.ok(passes(explained.test));
});

void test('denied: the nearest rule, and what it misses; a reason that is demanded', async () => {
  const line = { listener: 'support', uid: 8, user: 'bob' };
  const near = await ask({ ...line, words: 'flags add \\Seen mailbox INBOX'.split(' ') });
  assert.equal(near.explained.decision, 'deny');
  assert.equal(near.explained.nearest?.place, 'd.yaml:17');
  assert.match(near.explained.nearest?.missing.join() ?? '', /^query must/);
  // Bert is let in by a group, which a test has to name.
  assert.match(near.explained.test ?? '', /as: \{ user: bert, groups: \[helpdesk\] \}/);
  assert.ok(passes(near.explained.test));
  const shownBy = async (words: string) =>
    (await ask({ ...line, words: words.split(' ') })).explained.content;
  assert.equal(await shownBy('fetch uid all'), undefined);
  assert.equal(await shownBy('fetch hdr all'), 'yes');
  assert.equal(await shownBy('search subject x'), 'searched');
  const asked = { ...line, words: 'flags add \\Seen mailbox Trash'.split(' ') };
  const silent = await ask(asked);
  assert.equal(silent.explained.decision, 'deny');
  assert.match(silent.explained.text, /^denied: the client must say why: /);
  assert.equal((await ask({ ...asked, reason: 'ticket 17' })).explained.decision, 'allow');
});

void test('observed, without a way, and not to be read', async () => {
  const observed = await ask({ listener: 'support', uid: 9, user: 'bob', words: ['mailbox', 'list'] });
  assert.equal(observed.explained.decision, 'allow');
  assert.match(observed.explained.text, /^allowed, since .*; the rules would deny it: no rule allows /);
  const lost = await ask({ listener: 'support', uid: 9, user: 'x@example.org', words: ['quota', 'get'] });
  assert.equal(lost.explained.decision, 'obstacle');
  const broken = await ask({ listener: 'support', uid: 7, words: ['quota', 'gett'] });
  assert.equal(broken.explained.decision, 'unparsable');
  assert.match(broken.explained.text, /did you mean "quota get"\?$/);
  for (const each of [observed, lost, broken]) assert.ok(passes(each.explained.test));
  const own = await ask({ listener: 'support', uid: 7, words: ['dovegate', 'can'] });
  assert.equal(own.explained.decision, 'allow');
});

void test('JSON: the same command by its names; its test is in words', async () => {
  const json = '[["quotaGet",{"user":"bob"},"t"]]';
  const { explained, recorded } = await ask({ listener: 'web', account: 'panel', json });
  assert.equal(explained.decision, 'allow');
  assert.equal(explained.principal, 'panel@web');
  assert.deepEqual(recorded, ['-u', 'bob@example.com', '--', 'quota get', '--']);
  assert.ok(passes(explained.test));
});

void test('what is no question', async () => {
  const words = ['quota', 'get'];
  assert.match(await refusalOf({ listener: 'suport', words }), /^404 .*did you mean support\?$/);
  assert.match(await refusalOf({ listener: 'web', words }), /^400 listener web has keys \(panel, old\)/);
  assert.match(await refusalOf({ listener: 'web', account: 'panle', words }), /did you mean panel\?/);
  assert.match(await refusalOf({ listener: 'web', account: 'old', words }), /^400 key old has expired/);
  const longLine = await refusalOf({ listener: 'support', words: ['x'.repeat(10_000)] });
  assert.match(longLine, /^400 .*10000 bytes \(limits\.line\)$/);
  assert.match(
    await refusalOf({ listener: 'support', words: Array(bounds.commandFields + 1).fill('x') }),
    /^400 .*4096 words/,
  );
  const web = { listener: 'web', account: 'panel' };
  const two = '[["quotaGet",{},"a"],["who",{},"b"]]';
  for (const json of ['', '{}', '[]', two, '[["quotaGet",{"user":1', '[[[[[['])
    assert.match(await refusalOf({ ...web, json }), /^400 ./, json);
  assert.match(await refusalOf({ ...web, json: `[["${'x'.repeat(300)}",{},""]]` }), /^400 .*300 bytes/);
});

void test('a denial has the lines that would allow it, for a line of an ordinary length', async () => {
  const asked = { listener: 'support', user: 'bob', uid: 7 };
  const { explained } = await ask({ ...asked, words: ['mailbox', 'create', 'New'] });
  assert.equal(explained.decision, 'deny');
  assert.deepEqual(
    explained.toAllow?.map(({ into, lines }) => [into, ...lines]),
    [['policies.support.allow', '- command: mailbox create', '  where: { mailbox: [New] }']],
  );
  assert.deepEqual(explained.toAllow?.[0]?.also, ['the same for every user of *@example.com']);
  const allowed = await ask({ ...asked, words: ['quota', 'get'] });
  assert.equal(allowed.explained.toAllow, undefined);
  const long = { ...judging, sessionLimits: { ...judging.sessionLimits, lineBytesMax: 65_536 } };
  for (const [count, has] of [
    [100, true],
    [(4 * 1024) / 8, false],
  ] as const) {
    const words = ['mailbox', 'create', ...Array.from({ length: count }, (_, at) => `New-${1000 + at}`)];
    const found = await ask({ ...asked, words }, long);
    assert.equal(found.explained.toAllow !== undefined, has, String(count));
  }
});

// bounds.explainNameChars, bounds.explainReasonChars
void test('the form of a request', () => {
  const line = { listener: 'support', words: ['who'] };
  assert.deepEqual(readerOf(endpoints.explain.asks)(JSON.stringify(line)), line);
  const broken: unknown[] = [
    17,
    [],
    {},
    { listener: 'x' },
    { ...line, words: [] },
    { ...line, words: [1] },
    { ...line, words: ['\ud800'] },
    { ...line, uid: -1 },
    { ...line, uid: 1.5 },
    { ...line, uid: 2 ** 40 },
    { ...line, user: 'x'.repeat(70_000) },
    { ...line, account: {} },
    { ...line, reason: 3 },
    { ...line, reason: 'x'.repeat(513) },
    { ...line, json: '[]' },
    { listener: 'x', json: 5 },
  ];
  for (const each of broken)
    assert.equal(
      typeof readerOf(endpoints.explain.asks)(JSON.stringify(each)),
      'string',
      JSON.stringify(each),
    );
  assert.equal(typeof readerOf(endpoints.explain.asks)('{'), 'string');
});
