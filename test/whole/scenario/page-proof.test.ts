// Goal: the page says what was proved of the journal, and who touched a mailbox, to each as the role and the users allow.
// Phases: a check of a whole journal by somebody who may see no names, shown to others; reports through a whole and a limited view; the
// same check at the terminal; a journal that is changed under the daemon.
// What must not happen: a name in what everybody may ask for, a name of others in a limited view, a report of a damaged journal or of a
// limited view that says "complete", a look without a record.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Proof, Verified } from '../../../src/evidence/views/proof.js';
import type { MailboxDay, MailboxHead } from '../../../src/evidence/views/trail.js';
import { hashPassword } from '../../../src/rules/identity/credentials.js';
import { auditRecords, openGateway, recordsOf } from '../../kit/gate/gateway.js';
import { askPageAt, signIn } from '../../kit/gate/page-client.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { until } from '../../kit/plain/until.js';

const password = 'only-for-the-page';
const policy = `
    users: ["**"]
    allow: [quota get, mailbox list, { command: fetch, content: true }, { command: expunge, where: { query: { mailbox: [Trash] } } }]`;

/** Events of an answer, by their name, in order. */
function eventsOf(body: string): { readonly name: string; readonly data: string }[] {
  return body
    .split('\n\n')
    .filter((text) => text !== '')
    .map((text) => {
      const [, name = '', data = ''] = /^event: (\w+)\ndata: (.*)$/.exec(text) ?? [];
      return { name, data };
    });
}

/** The data of the only event of this name. */
function only(body: string, wanted: string): string {
  const [found, ...more] = eventsOf(body).filter(({ name }) => name === wanted);
  assert.ok(found !== undefined && more.length === 0, `one ${wanted} in ${body}`);
  return found.data;
}

test('what was proved, and who touched a mailbox', async (t) => {
  const [port = 0] = await freePorts(1);
  const hash = await hashPassword(Buffer.from(password), 10);
  const uid = process.getuid?.() ?? -1;
  const gateway = await openGateway(t, {
    policy,
    audit:
      '{ directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB, checkpoint_interval: 1s }',
    more: `admin:
  door: door.sock
  page:
    tcp: 127.0.0.1:${port}
    unix: page.sock
    people:
      viewer: { password_hash: "${hash}", role: view }
      auditor: { password_hash: "${hash}", role: audit }
      limited: { password_hash: "${hash}", role: audit, users: ["*@example.org"] }
      ourselves: { user: "${uid}", role: operate }
`,
  });
  const { daemon } = gateway;
  const client = await gateway.client({ minor: 3 });
  const commands: readonly (readonly [string, ...string[]])[] = [
    ['alice@example.org', 'quota get'],
    ['alice@example.org', 'fetch', 'text', 'mailbox', 'INBOX'],
    ['alice@example.org', 'expunge', 'mailbox', 'Trash', 'all'],
    ['alice@example.org', 'expunge', 'mailbox', 'INBOX', 'all'],
    ['zuluq7bob@other.test', 'quota get'],
    ['', 'quota get', '-A'],
    ['alice@example.org', 'zuluq7unknown', 'zuluq7bob@other.test'],
  ];
  for (const [user, ...fields] of commands) {
    client.send('\t\tOPTION\tdovegate-reason=ticket <4711>');
    await client.ask({ user, fields });
  }
  client.close();
  await until(() => recordsOf(daemon, 'completion').length >= commands.length, 'the ends of all commands');
  const tokens = {
    viewer: await signIn(port, 'viewer', password),
    auditor: await signIn(port, 'auditor', password),
    limited: await signIn(port, 'limited', password),
  };
  const proofOf = async (name: keyof typeof tokens): Promise<Proof> =>
    JSON.parse((await askPageAt(port, 'GET', '/api/proof', { token: tokens[name] })).body);
  const verify = (name: keyof typeof tokens) =>
    askPageAt(port, 'POST', '/api/verify', { token: tokens[name] });
  const report = (name: keyof typeof tokens, mailbox: string, form = 'page') =>
    askPageAt(port, 'POST', '/api/trail/report', { token: tokens[name], body: { mailbox, form } });
  // A signature is made each second.
  await until(async () => ((await proofOf('viewer')).checkpoint?.seq ?? 0) > 14, 'a signature');

  await t.test('a check, with its record, shown to others', async () => {
    const { status, type, body } = await verify('viewer');
    assert.deepEqual([status, type], [200, 'text/event-stream']);
    const found: Verified = JSON.parse(only(body, 'result'));
    assert.deepEqual([found.isWhole, found.by, found.fromSeq], [true, 'viewer', 1]);
    const proof = await proofOf('limited');
    assert.deepEqual(
      [proof.last?.by, proof.last?.isWhole, proof.running],
      ['somebody else', true, undefined],
    );
    assert.equal(found.signedBy, proof.key);
    assert.doesNotMatch(body + JSON.stringify(proof), /alice|zuluq7|@example/);
    const record = auditRecords(daemon).findLast(({ action }) => action === 'audit-verify');
    assert.deepEqual(
      [record?.['by'], record?.['args']],
      ['viewer', ['address=127.0.0.1', 'whole', `to=${found.toSeq}`]],
    );
  });

  await t.test('reports', async () => {
    assert.equal((await report('viewer', 'alice@example.org')).status, 403);
    const whole = await report('auditor', 'alice@example.org');
    const head: MailboxHead = JSON.parse(only(whole.body, 'head'));
    assert.equal(head.isComplete, true, head.sentences.join('\n'));
    assert.match(head.madeBy ?? '', /^auditor on /);
    assert.deepEqual([head.counts.commands, head.counts.stopped], [3, 3]);
    const lines = eventsOf(whole.body)
      .filter(({ name }) => name === 'day')
      .flatMap(({ data }): MailboxDay['lines'] => JSON.parse(data).lines);
    assert.deepEqual(
      lines
        .filter((line) => !['denied', 'unread'].includes(line.class))
        .map(({ what, reason, note }) => [what, reason, note]),
      [
        ['read, no content', 'ticket <4711>', ''],
        // The backend knows neither of them.
        ['tried, failed', 'ticket <4711>', 'asked for content; the mail server said no'],
        ['tried, failed', 'ticket <4711>', 'asked to delete; the mail server said no'],
      ],
    );
    assert.match(
      head.answer,
      /^No recorded command deleted anything; \d attempts? (?:was|were) denied, 1 attempt failed\.$/,
    );
    only(whole.body, 'end');
    const limited = await report('limited', 'alice@example.org');
    const seen: MailboxHead = JSON.parse(only(limited.body, 'head'));
    assert.equal(seen.isComplete, false);
    assert.match(seen.sentences.join('\n'), /limited sees the records of \*@example\.org only/);
    assert.doesNotMatch(limited.body, /zuluq7/);
    const refused = await report('limited', 'zuluq7bob@other.test');
    assert.equal(refused.status, 403);
    assert.doesNotMatch(refused.body, /"event"/);
    for (const form of ['csv', 'html', 'json']) {
      const { body } = await report('auditor', 'alice@example.org', form);
      const text = eventsOf(body)
        .filter(({ name }) => name === 'text')
        .map(({ data }) => JSON.parse(data))
        .join('');
      assert.match(text, form === 'html' ? /ticket &lt;4711&gt;/ : /ticket <4711>/, form);
      only(body, 'end');
    }
    const actions = auditRecords(daemon).filter(({ action }) => action === 'audit-report');
    assert.deepEqual(
      actions.map(({ by, args, rows }) => [by, Array.isArray(args) ? args[1] : args, rows]),
      [
        ['auditor', 'user=alice@example.org', 6],
        ['limited', 'user=alice@example.org', 4],
        ['limited', 'refused', 0],
        ...Array.from({ length: 3 }, () => ['auditor', 'user=alice@example.org', 6]),
      ],
    );
  });

  await t.test('the same at the terminal, without rights on files', async () => {
    const { text, exit } = await runWarm(['audit', 'verify', '--socket', 'page.sock'], {
      cwd: daemon.folder,
    });
    assert.equal(exit, 0, text);
    assert.match(text, /\npassed$/m);
    assert.equal((await proofOf('viewer')).last?.by, 'ourselves');
  });

  await t.test('a journal that is changed under the daemon', async () => {
    const path = join(daemon.path('audit'), '00000001.jsonl');
    const lines = readFileSync(path, 'utf8').split('\n');
    const at = lines.findIndex((line) => line.includes('zuluq7bob'));
    // As long as it was: the daemon goes on writing at its end.
    lines[at] = (lines[at] ?? '').replace('zuluq7bob', 'zuluq7eve');
    writeFileSync(path, lines.join('\n'));
    const { body } = await verify('viewer');
    const found: Verified = JSON.parse(only(body, 'result'));
    assert.equal(found.isWhole, false);
    assert.match(
      found.findings[0]?.text ?? '',
      new RegExp(`^Record ${at + 1} was changed after it was written \\(00000001\\.jsonl, line ${at + 1}\\)`),
    );
    assert.doesNotMatch(body, /zuluq7|alice/);
    const { body: doubtful } = await report('auditor', 'alice@example.org');
    const head: MailboxHead = JSON.parse(only(doubtful, 'head'));
    assert.equal(head.isComplete, false);
    const { exit, text } = await runWarm(['audit', 'verify', '--socket', 'page.sock'], {
      cwd: daemon.folder,
    });
    assert.equal(exit, 1, text);
  });
});
