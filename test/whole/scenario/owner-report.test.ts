// Goal: the owner of a mailbox sees who looked, and nothing of anybody else. Phases: people of a team read the mail of alice and of bob,
// with and without a grant; a panel asks for a token for alice, and the page answers with her report; the attack of limited views over
// this door: other spellings, patterns, other keys, other tokens, keys that are gone; names of people, once the policy shows them; the
// signed report, checked by a stranger. What must not happen: a row, a name or a reason of bob's in what alice gets, a name of staff before
// the policy shows it, a token in a record or in a log, a look without a record.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { OwnerReport } from '../../../src/evidence/report/owner.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { hashKey, isKey, keyBytes, makeKey, reportTokenPrefix } from '../../../src/rules/keys/key.js';
import { auditRecords, openGateway, recordsOf } from '../../kit/gate/gateway.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { openFolder } from '../../kit/plain/folder.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { until } from '../../kit/plain/until.js';

const alice = 'alice@example.org';
const bob = 'bob@example.org';
const path = '/dovegate/v1/mailbox-report';
const hostile = 'ticket 1 <script>\u202e&"';
const names = ['anna', 'carol', 'panel', 'other', 'plain'] as const;
type Name = (typeof names)[number];

const policiesWith = (more = ''): string => `
    users: ["*@example.org"]
    allow: [quota get, { command: fetch, content: true }]${more}
    on_request: [{ command: expunge, approvals: 1, for: 1h }]
  leads:
    users: ["*@example.org"]
    allow: [mailbox list]
    approve: [support]
  panels: { users: ["*@example.org"], except: ["ceo@example.org"] }
  others: { users: ["*@other.test"] }`;

test('the owner sees who looked, and nothing of others', { timeout: 240_000 }, async (t) => {
  const [port = 0, pagePort = 0] = await freePorts(2);
  const keys = new Map(names.map((name) => [name, makeKey(randomBytes(keyBytes))]));
  const policyOf: Readonly<Record<Name, string>> = {
    anna: 'support',
    carol: 'leads',
    panel: 'panels, owner_reports: true',
    other: 'others, owner_reports: true',
    plain: 'panels',
  };
  const listenersOf = (shown: readonly Name[]): string => `
  web:
    tcp: "127.0.0.1:${port}"
    protocol: http
    tls: { mode: off }
    keys:${shown.map((name) => `\n      ${name}: { hash: "${hashKey(keys.get(name) ?? '')}", policy: ${policyOf[name]} }`).join('')}`;
  const gateway = await openGateway(t, {
    listeners: listenersOf(names),
    policy: policiesWith(),
    audit:
      '{ directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB, checkpoint_interval: 1s }',
    more: `persons: { anna: { keys: [anna] }, carol: { keys: [carol] } }
admin:
  unix: admin.sock
  door: door.sock
  page:
    tcp: 127.0.0.1:${pagePort}
    unix: page.sock
    people: { ourselves: { user: "${process.getuid?.() ?? -1}", role: audit } }
`,
    backend: {
      script: async ({ fields }, connection) => {
        if (fields[0] === 'fetch') await connection.row('Dear Alice');
        if (fields[0] === 'search') await connection.row('0123', '1');
        await connection.status('+');
      },
    },
  });
  const { daemon } = gateway;
  const post = async (who: Name, target: string, body: string, reason?: string) => {
    const answered = await fetch(`http://127.0.0.1:${port}${target}`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${keys.get(who) ?? ''}`,
        ...(reason !== undefined && { 'Dovegate-Reason': Buffer.from(reason).toString('latin1') }),
      },
      body,
    });
    return {
      status: answered.status,
      code: answered.headers.get('dovegate-code'),
      text: await answered.text(),
    };
  };
  const run = async (who: Name, user: string, name: string, more: object, reason: string): Promise<void> => {
    const { status, text } = await post(
      who,
      '/doveadm/v1',
      JSON.stringify([[name, { user, ...more }, 't']]),
      reason,
    );
    assert.equal(status, 200, text);
  };
  const mint = (who: Name, user: string) => post(who, path, JSON.stringify({ user }));
  const tokenFor = async (who: Name, user: string): Promise<string> => {
    const { status, text } = await mint(who, user);
    assert.equal(status, 200, text);
    return JSON.parse(text).token;
  };
  const read = async (token: string | undefined, query = '', accept = 'application/json') => {
    const answered = await fetch(`http://127.0.0.1:${pagePort}${path}${query}`, {
      headers: { Accept: accept, ...(token !== undefined && { Authorization: `Bearer ${token}` }) },
    });
    return {
      status: answered.status,
      type: answered.headers.get('content-type') ?? '',
      text: await answered.text(),
    };
  };
  const reportOf = async (token: string): Promise<OwnerReport> => {
    const { status, text } = await read(token);
    assert.equal(status, 200, text);
    return JSON.parse(text);
  };

  const body = { field: ['text'], query: ['mailbox', 'INBOX'] };
  await run('anna', alice, 'fetch', body, hostile);
  await run('anna', alice, 'fetch', body, hostile);
  await run('anna', 'Alice@Example.ORG', 'quotaGet', {}, 'ticket 2');
  await run('anna', bob, 'fetch', body, 'zulubob wrote');
  await run('anna', alice, 'expunge', { query: ['mailbox', 'INBOX'] }, 'zuludenied');
  const asked = await post(
    'anna',
    '/dovegate/v1/request',
    JSON.stringify({ users: [alice], reason: 'ticket 3', command: ['expunge', 'mailbox', 'INBOX', 'all'] }),
  );
  assert.equal(asked.status, 200, asked.text);
  const { id } = JSON.parse(asked.text);
  // An approver has seen what it would delete.
  assert.equal((await post('carol', '/dovegate/v1/requests', JSON.stringify({ id }))).status, 200);
  const approved = await post('carol', '/dovegate/v1/approve', JSON.stringify({ id }));
  assert.equal(approved.status, 200, approved.text);
  await run('anna', alice, 'expunge', { query: ['mailbox', 'INBOX', 'all'] }, '');
  await until(() => recordsOf(daemon, 'completion').length >= 8, 'the ends of all commands');
  // A signature is made each second.
  const lastSeq = Number(auditRecords(daemon).at(-1)?.['seq']);
  await until(
    () => auditRecords(daemon).some(({ event, seq }) => event === 'checkpoint' && Number(seq) > lastSeq),
    'a signature',
  );
  const token = await tokenFor('panel', 'ALICE@example.org');
  assert.ok(isKey(token, reportTokenPrefix) && !isKey(token));

  await t.test('a team, a time, a reason, a grant and its approval; no names', async () => {
    const { text } = await read(token, '?since=2020-01-01');
    const report: OwnerReport = JSON.parse(text);
    assert.doesNotMatch(text, /anna|carol|panel|zulu|bob|127\.0|mailbox INBOX|"id"/);
    assert.deepEqual(
      report.rows.map(({ class: group, team, reason, commands, content, sure, grant }) => ({
        group,
        team,
        reason,
        commands,
        content,
        sure,
        isGranted: grant === id,
      })),
      [
        {
          group: 'content',
          team: 'support',
          reason: 'ticket 1 <script>\\u{202e}&"',
          commands: 2,
          content: 'yes' as const,
        },
        {
          group: 'read',
          team: 'support',
          reason: 'ticket 2',
          commands: 1,
          content: 'no' as const,
        },
        {
          group: 'deleted',
          team: 'support',
          reason: 'ticket 3',
          commands: 1,
          content: 'no' as const,
        },
      ].map((row) => ({ ...row, sure: true, isGranted: row.group === 'deleted' })),
    );
    assert.deepEqual(report.rows[2]?.approved_by, ['leads']);
    assert.deepEqual([report.user, report.without_effect, report.left_out], [alice, 1, 0]);
    // The journal began today.
    assert.equal(report.complete, false);
    assert.deepEqual(
      report.sentences.slice(0, 2).map((each) => each.slice(0, 30)),
      ['The record is NOT proved compl', 'The record begins later than t'],
    );
    const [first] = auditRecords(daemon);
    const since = await read(token, `?since=${encodeURIComponent(String(first?.['time']))}`);
    const whole: OwnerReport = JSON.parse(since.text);
    assert.deepEqual([whole.complete, whole.rows.length], [true, 3], since.text);
  });

  await t.test('as a part of a page: escaped, nothing that is loaded', async () => {
    assert.equal((await fetch(`http://127.0.0.1:${pagePort}${path}/`)).status, 404, 'no page of the page');
    const unwanted = await read(token, '', 'text/html;q=0, application/json');
    assert.match(unwanted.type, /^application\/json/);
    const { type, text } = await read(token, '', 'text/html');
    assert.equal(type, 'text/html; charset=utf-8');
    assert.match(text, /^<section [^]*ticket 1 &lt;script&gt;\\u\{202e\}&amp;&quot;[^]*<\/section>\n$/);
    assert.doesNotMatch(text, /<script|<style|style=|href|src=|\u202e|anna|carol|zulu/);
    assert.equal((await read(token, '?since=tomorrow')).status, 400);
    assert.equal((await read(token, '?since=2999-01-01')).status, 400);
  });

  await t.test('each token and each reading is recorded, and no token is', async () => {
    const made = recordsOf(daemon, 'admission').filter(
      ({ command }) => command === 'dovegate mailbox-report',
    );
    assert.deepEqual(
      made.map(({ principal, args, users }) => [principal, args, users]),
      [['panel@web', ['--user=ALICE@example.org'], []]],
    );
    const looks = auditRecords(daemon).filter(({ action }) => action === 'audit-owner');
    assert.ok(looks.length >= 3);
    assert.deepEqual(looks[0]?.['by'], 'panel@web');
    assert.deepEqual(looks[0]?.['args'], ['address=127.0.0.1', `user=${alice}`]);
    const secret = token.slice(14, 40);
    assert.ok(!JSON.stringify(auditRecords(daemon)).includes(secret));
    assert.ok(!JSON.stringify([daemon.logs, gateway.page?.logs]).includes(secret));
  });

  await t.test('no spelling, no key and no token opens the report of another', async () => {
    const refusedUsers: readonly (readonly [string, number])[] = [
      ['ceo@example.org', 403],
      ['CEO@EXAMPLE.org', 403],
      ['x@other.test', 403],
      ['alice', 403],
      ['*@example.org', 400],
      ['*', 400],
      ['al?ce@example.org', 400],
      ['alice@example.org,bob@example.org', 400],
      ['alice@example.org@example.org', 400],
      ['alice%40example.org', 400],
      ['\u212aate@example.org', 400],
      ['alice@example.org\u0000', 400],
      ['alice@example.org\n', 400],
      ['', 400],
      [`${'a'.repeat(400)}@example.org`, 400],
    ];
    for (const [user, status] of refusedUsers)
      assert.deepEqual([user, (await mint('panel', user)).status], [user, status]);
    assert.equal((await mint('other', alice)).status, 403);
    assert.equal((await mint('plain', alice)).code, 'access-denied');
    assert.equal((await mint('anna', alice)).status, 403);
    assert.equal((await post('panel', path, '{"users":["alice@example.org"]}')).status, 400);
    assert.equal((await post('panel', path, '{"user":["alice@example.org"]}')).status, 400);
    assert.equal((await post('panel', path, '{"user":"alice@example.org","since":"x"}')).status, 400);
    // The last one counts, for the judgement and for the token.
    const twice = await post('panel', path, `{"user":"${alice}","user":"${bob}"}`);
    assert.equal((await reportOf(JSON.parse(twice.text).token)).user, bob);
    assert.equal((await post('panel', path, `{"user":"${alice}","user":"ceo@example.org"}`)).status, 403);

    const bobs = await reportOf(await tokenFor('panel', bob));
    assert.deepEqual(
      bobs.rows.map(({ reason }) => reason),
      ['zulubob wrote'],
    );
    for (const query of [`?user=${bob}`, `?mailbox=${bob}`, `/${bob}`, `?since=2020-01-01&user=${bob}`]) {
      const { status, text } = await read(token, query);
      assert.ok(status === 200 ? !text.includes('zulubob') : status === 404, `${query}: ${status}`);
    }
    // A token is for this report only, and a key is no token.
    for (const wrong of [
      undefined,
      '',
      keys.get('panel'),
      `${token.slice(0, -1)}${token.endsWith('0') ? '1' : '0'}`,
      makeKey(randomBytes(keyBytes), reportTokenPrefix),
    ])
      assert.equal((await read(wrong)).status, 401);
    const asPerson = await fetch(`http://127.0.0.1:${pagePort}/api/now`, {
      headers: { Authorization: `Bearer ${token}` },
    });
    assert.equal(asPerson.status, 401);
    const asKey = await fetch(`http://127.0.0.1:${port}/dovegate/v1/can`, {
      headers: { Authorization: `Bearer ${token}` },
    });
    assert.equal(asKey.status, 401);
    const foreign = await fetch(`http://127.0.0.1:${pagePort}${path}`, {
      headers: { Authorization: `Bearer ${token}`, Origin: 'https://panel.example' },
    });
    assert.equal(foreign.status, 403);
  });

  await t.test('so many readings, and no more', async () => {
    // bounds.reportTokenReads
    const brief = await tokenFor('panel', 'dora@example.org');
    for (let reads = 0; reads < bounds.reportTokenReads; reads += 1)
      assert.equal((await read(brief)).status, 200, `reading ${reads}`);
    assert.equal((await read(brief)).status, 401);
    assert.equal((await read(token)).status, 200, 'another one goes on');
  });

  await t.test('signed, and checked by a stranger', async () => {
    const socket = daemon.path('page.sock');
    const made = await runWarm([
      'audit',
      'report',
      '--mailbox',
      'Alice@example.org',
      '--owner',
      '--socket',
      socket,
    ]);
    assert.equal(made.exit, 0, made.text);
    assert.doesNotMatch(made.text, /anna|carol|zulu|bob@/);
    const folder = openFolder(t);
    const file = join(folder, 'owner.txt');
    writeFileSync(file, made.stdout);
    const key = join(folder, 'key.pub');
    writeFileSync(key, readFileSync(join(daemon.path('audit'), 'key.pub')));
    const checked = await runWarm(['audit', 'check-proof', file, '--key', key]);
    assert.equal(checked.exit, 0, checked.text);
    assert.match(checked.text, /what the owner of a mailbox may see, in 4 rows/);
    assert.match(checked.text, /vouches for it by its signature; it is no proof by the chain/);
    const forgeries = [
      [/"team":"support"/, '"team":"nobody"'],
      [/"complete":(true|false)/, '"complete":1'],
      [/"shown":"owner",/, ''],
      [/user=alice@example\.org/, 'user=bob@example.org'],
    ] as const;
    for (const [from, to] of forgeries) {
      const forged = made.stdout.toString().replace(from, to);
      assert.notEqual(forged, made.stdout.toString());
      writeFileSync(file, forged);
      assert.equal((await runWarm(['audit', 'check-proof', file, '--key', key])).exit, 1);
    }
    const byFiles = await runWarm([
      'audit',
      'report',
      '--mailbox',
      alice,
      '--owner',
      '--config',
      daemon.configFile,
    ]);
    assert.equal(byFiles.exit, 64, byFiles.text);
  });

  await t.test('the end of a key is the end of its tokens', async () => {
    const another = await tokenFor('panel', alice);
    const left = names.filter((name) => name !== 'panel');
    await daemon.reload(gateway.configuration({ listeners: listenersOf(left), policy: policiesWith() }));
    // The page has the new settings a moment later.
    await until(async () => (await read(another)).status === 401, 'the end of the token');
  });
});
