// Goal: what became of a command is the same, whoever is asked: the client, `audit show`, `audit search`, a report, and the page's Now,
// Trail and screen of one command. Phases: every kind of ending, each for a user of its own: denied, limited, not understood, failed,
// aborted, unknown, waiting in vain, at several backends, dry-run, counted, bulk, HTTP, duplex, under a grant, also one that is revoked,
// under break-glass; the daemon is killed while one runs, and starts again; another one runs still. The mirror of a fleet is asked,
// too. What must not happen: another cause, or another person, at one of them; a cause that is guessed.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { codes, isCode } from '../../../src/doveadm/codes/codes.js';
import { readSaid } from '../../../src/doveadm/codes/said.js';
import type { TrailLine } from '../../../src/evidence/views/trail.js';
import type { AccessItem } from '../../../src/gate/access/access-item.js';
import type { Trouble } from '../../../src/gate/now/now.js';
import { hashKey, keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import { startDaemon, startPage } from '../../kit/gate/daemon.js';
import { auditRecords, backendPassword, openGateway, recordsOf } from '../../kit/gate/gateway.js';
import { askPageAt, signIn, watchNow } from '../../kit/gate/page-client.js';
import { createGate, type Script } from '../../kit/gate/script.js';
import { openScriptedDovecot } from '../../kit/gate/scripted-dovecot.js';
import { hash, password } from '../../kit/gate/tcp-gate.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { until } from '../../kit/plain/until.js';

const policies = `
    users: ["*@example.org", "*@nowhere.example"]
    except: ["ceo@example.org"]
    logs: filtered
    allow:
      - quota get
      - who
      - mailbox list
      - { command: mailbox create, deadline: 300ms }
      - { command: mailbox status, limit: 1/hour }
      - { command: fetch, content: true, reason: required }
      - { command: expunge, max_matches: 1 }
      - { command: dsync-server, where: { replicator-notify: any } }
    deny: [mailbox delete]
    on_request:
      - { command: mailbox subscribe, approvals: 1, for: 1h }
      - { command: acl get, approvals: 1, for: 1h }
      - { command: mailbox unsubscribe, approvals: 0, for: 1h, uses: 1 }
  leads:
    users: ["*@example.org"]
    allow: [quota get]
    approve: [support]`;

const quota = ['quota get'];
const at = (name: string): string =>
  name && `${name}@${name === 'noroute' ? 'nowhere.example' : 'example.org'}`;

/** What a backend does, by the user of the command. */
function answers(late: Promise<void>): Script {
  return async ({ user, fields }, connection) => {
    const [name = ''] = user.split('@');
    if (fields[0] === 'search') {
      for (const uid of ['1', '2', '3']) await connection.row('guid', uid);
      return connection.status('+');
    }
    if (fields[0] === 'dsync-server') {
      await connection.status('+');
      while ((await connection.readSome()) !== null);
      return connection.end();
    }
    switch (name) {
      case 'notfound':
      case 'httpfailed':
      case 'bulkfailed':
        return connection.status('-NOTFOUND');
      case 'exists':
        await connection.log('error', "Can't create mailbox New: Mailbox already exists");
        return connection.status('-DATAERR');
      case 'broken':
        return connection.reset();
      case 'nonsense':
        await connection.status('nonsense');
        return;
      case 'late':
        await late;
        return connection.status('+');
      case 'gone':
      case 'killed':
      case 'lost':
      case 'revoked':
      case 'running':
        await connection.closed;
        return;
      default:
        return connection.status('+');
    }
  };
}

/** What its client got. */
interface Got {
  readonly what: string;
  readonly user: string;
  /** Undefined: the only command for this user. */
  readonly id?: string | undefined;
  readonly principal: string;
  readonly outcome: string;
  /** Undefined: no sentence of dovegate came. */
  readonly code?: string | undefined;
  readonly sentence?: string | undefined;
}

/** Who acts next, where the requester could have asked otherwise. */
const askedOtherwise: ReadonlyMap<string, string> = new Map([
  ['denied: no reason', 'next: the requester: say why: dovegate send --reason TEXT'],
  ['denied: a reason of a blank', 'next: the requester: say why, in words: dovegate send --reason TEXT'],
  ['denied: too many mails', 'next: the requester: narrow the query'],
]);

/** After Now was asked. */
const endedLate = new Set(['killed with the process', 'it runs still']);

type Row = Extract<TrailLine, { readonly row: unknown }>;

test('every kind of ending: its cause and its person are the same for the client and for all who ask later', async (t) => {
  const [port = 0, pagePort = 0] = await freePorts(2);
  const keys = new Map(['anna', 'carol'].map((name) => [name, makeKey(randomBytes(keyBytes))]));
  const keyLines = [...keys].map(
    ([name, key]) =>
      `\n      ${name}: { hash: "${hashKey(key)}", policy: ${name === 'anna' ? 'support' : 'leads'} }`,
  );
  const late = createGate();
  t.after(() => late.open());
  const away = '127.0.0.1:1';
  const other = (name: string, address: string, more = ''): string =>
    `\n  ${name}: { address: "${address}", tls: off, password_file: mail1.password, shared_namespaces: []${more} }`;
  const held = createGate();
  t.after(() => held.open());
  const narrow = await openScriptedDovecot({
    tls: 'plain',
    password: backendPassword,
    owner: t,
    script: async ({ user }, connection) => {
      if (user === at('hold')) await held.opened;
      await connection.status('+');
    },
  });
  const gateway = await openGateway(t, {
    listeners: `
  support: { unix: support.sock, mode: "0600", policy: support }
  panel: { tcp: "127.0.0.1:${port}", protocol: http, tls: { mode: off }, keys: {${keyLines.join(',').replaceAll('\n', '')} } }`,
    mail1: {
      connections: `8${other('away', away)}${other('drained', away, ', drained: true')}${other('narrow', narrow.address, ', connections: 1')}`,
    },
    routes:
      '[{ users: [away@example.org], backend: away },' +
      ' { users: [drained@example.org], backend: drained },' +
      ' { users: [hold@example.org, queued@example.org, full@example.org], backend: narrow },' +
      ' { users: ["*@example.org"], backend: mail1 }]',
    policy: policies,
    backend: { script: answers(late.opened) },
    more: `server_commands: { default: all }
limits: { queue: 1, queue_timeout: 2s }
persons: { anna: { keys: [anna] }, carol: { keys: [carol] } }
admin:
  unix: admin.sock
  door: door.sock
  page:
    tcp: 127.0.0.1:${pagePort}
    people: { erin: { password_hash: "${hash}", roles: [audit, operate] } }
`,
  });
  const { daemon, client } = gateway;
  const got: Got[] = [];
  const principal = String(
    await client().then(async (one) => {
      await one.ask({ user: at('first'), fields: quota });
      return recordsOf(daemon, 'admission')[0]?.['principal'];
    }),
  );

  // Now has the last ones.
  const troubles = new Map<string | undefined, Trouble>();
  const erin = await signIn(pagePort, 'erin', password);
  const readNow = async (): Promise<void> => {
    const watcher = await watchNow(t, pagePort, erin);
    const ended = recordsOf(daemon, 'completion');
    const last = ended.findLast(({ outcome }) => outcome !== 'ok' && outcome !== 'aborted')?.['id'];
    await watcher.waitFor((now) => now.troubles.some(({ id }) => id === last), 'the last trouble');
    for (const trouble of watcher.now.troubles) troubles.set(trouble.id, trouble);
    watcher.close();
  };
  const add = (what: string, name: string, outcome: string, code?: string, sentence?: string): void =>
    void got.push({ what, user: at(name), principal, outcome, code, sentence });
  const told = (reply: { readonly logs: readonly { readonly text: string }[] }) =>
    reply.logs.map(({ text }) => readSaid(text)).findLast((said) => said !== undefined);
  const ask = async (
    what: string,
    name: string,
    fields: readonly string[],
    outcome: string,
    code?: string,
    { reason }: { readonly reason?: string } = {},
  ): Promise<void> => {
    const user = at(name);
    const one = await client();
    if (reason !== undefined) one.sendCommand({ user: '', fields: ['OPTION', `dovegate-reason=${reason}`] });
    const said = told(await one.ask({ user: name === 'several' ? '' : user, fields }));
    assert.equal(said?.code, code, `${what}: ${said?.sentence}`);
    got.push({ what, user, id: said?.id, principal, outcome, code, sentence: said?.sentence });
  };
  const counted = ['mailbox', 'INBOX', 'all'];
  await ask('denied: no rule', 'norule', ['mailbox rename', 'a', 'b'], 'denied', 'denied');
  await ask('denied: a deny rule', 'denyrule', ['mailbox delete', 'a'], 'denied', 'denied');
  await ask('denied: a user of `except`', 'ceo', quota, 'denied', 'denied');
  await ask('denied: no reason', 'noreason', ['fetch', 'text', ...counted], 'denied', 'denied');
  await ask('denied: a reason of a blank', 'blank', ['fetch', 'text', ...counted], 'denied', 'denied', {
    reason: '\u00a0',
  });
  await ask('denied: too many mails', 'toomany', ['expunge', ...counted], 'denied', 'denied');
  await ask('denied: on request', 'onrequest', ['mailbox subscribe', 'a'], 'denied', 'on-request');
  const wish = ['dovegate request', '-u', at('wish'), '--reason', 'ticket 7', '--', 'mailbox delete', 'a'];
  await ask('a request that is refused', '', wish, 'denied', 'access-denied');
  await ask('not understood', 'unread', ['quota get', '--nonsense'], 'unparsable', 'unknown-option');
  const status = ['mailbox status', 'messages', 'INBOX'];
  await ask('within its limit', 'within', status, 'ok');
  await ask('limited', 'limited', status, 'limited', 'over-limit');
  await ask('no route', 'noroute', quota, 'failed', 'no-route');
  await ask('no connection', 'away', quota, 'failed', 'dial-refused');
  await ask('drained', 'drained', quota, 'failed', 'backend-drained');
  await ask("the backend's status", 'notfound', quota, 'failed', 'backend-failed');
  await ask('it exists', 'exists', ['mailbox list'], 'failed', 'exists');
  await ask('broken off', 'broken', quota, 'unknown', 'closed-early');
  await ask('no reply of the protocol', 'nonsense', quota, 'unknown', 'reply-bad-status');
  await ask('well', 'well', quota, 'ok');
  await readNow();
  await ask('several backends', 'several', ['who', at('several')], 'failed', 'not-all-backends');
  await t.test('waiting for a connection in vain, and no room to wait', async () => {
    const one = await client();
    one.sendCommand({ user: at('hold'), fields: quota });
    const reply = one.readReply();
    await narrow.waitFor(({ commands }) => commands.length === 1, 'the only connection is held');
    const waiting = ask('no connection in time', 'queued', quota, 'failed', 'queue-timeout');
    const isAdmitted = (): boolean =>
      recordsOf(daemon, 'admission').some(({ user }) => user === at('queued'));
    await until(isAdmitted, 'the only place in the queue is taken');
    await ask('too many wait', 'full', quota, 'failed', 'queue-full');
    await waiting;
    held.open();
    assert.equal((await reply).status, '+');
  });

  const running = (name: string): string | undefined => {
    const found = recordsOf(daemon, 'admission').find(({ user }) => user === at(name));
    return found && gateway.backend.commands.some(({ user }) => user === at(name))
      ? String(found['id'])
      : undefined;
  };
  await t.test('overdue, and its end', async () => {
    const one = await client();
    const said = told(await one.ask({ user: at('late'), fields: ['mailbox create', 'New'] }));
    assert.equal(said?.code, 'reply-timeout');
    const id = running('late') ?? assert.fail('it was not sent');
    const shown = await runWarm(['audit', 'show', id, daemon.path('audit')]);
    assert.match(
      shown.stdout.toString(),
      /^exchange \w+: mailbox create, open\n {2}no answer came in time, and the client got -TEMPFAIL/,
    );
    late.open();
    const ended = (): boolean => recordsOf(daemon, 'completion').some((record) => record['id'] === id);
    await until(ended, 'its end');
    // What it came to is known later than the client's answer.
    add('overdue', 'late', 'ok', 'reply-timeout', 'answered after the deadline: +');
  });
  await t.test('the client leaves', async () => {
    const one = await client();
    one.sendCommand({ user: at('gone'), fields: quota });
    await until(() => running('gone') !== undefined, 'it runs');
    one.close();
    add('aborted', 'gone', 'aborted', 'client-gone', 'the client left');
  });
  await t.test('an operator ends it', async () => {
    const one = await client();
    one.sendCommand({ user: at('killed'), fields: quota });
    const reply = one.readReply();
    await until(() => running('killed') !== undefined, 'it runs');
    const killed = await runWarm(['kill', running('killed') ?? '', '--socket', daemon.path('admin.sock')]);
    assert.equal(killed.exit, 0, killed.text);
    const said = told(await reply);
    assert.equal(said?.code, 'outcome-unknown');
    // The record has the error that says why.
    add('killed by an operator', 'killed', 'unknown', 'killed', said?.sentence);
  });
  await t.test('a dry run, a bulk run, a duplex command', async () => {
    const one = await client();
    const words = ['-u', at('dry'), '--', ...quota];
    const dry = await one.ask({ user: '', fields: ['dovegate dry-run', ...words] });
    assert.equal(dry.status, '+', JSON.stringify(dry));
    add('dry run', '', 'ok');
    const forbidden = ['-u', at('dry'), '--', 'mailbox delete', 'a'];
    await ask('dry run of what is denied', '', ['dovegate dry-run', ...forbidden], 'denied', 'denied');
    const list = daemon.path('list');
    writeFileSync(list, `${at('bulk')}\n${at('bulkfailed')}\n`);
    const door = ['send', '--socket', daemon.path('support.sock'), '--users', list];
    const bulk = await runWarm([...door, '--', 'quota', 'get']);
    assert.match(bulk.text, /the backend says: not found\n/);
    add('bulk', 'bulk', 'ok');
    add('bulk, failed', 'bulkfailed', 'failed', 'backend-failed', 'the backend says: not found');
    const duplex = await client();
    const user = at('duplex');
    assert.equal((await duplex.ask({ user, fields: ['dsync-server', '-u', user] })).status, '+');
    duplex.halfClose();
    await duplex.readEnd();
    add('duplex', 'duplex', 'ok');
  });

  const overHttp = async (who: string, path: string, body: unknown): Promise<string> => {
    const answered = await fetch(`http://127.0.0.1:${port}${path}`, {
      method: 'POST',
      headers: { Authorization: `X-Dovecot-API ${Buffer.from(keys.get(who) ?? '').toString('base64')}` },
      body: JSON.stringify(body),
    });
    return answered.text();
  };
  const send = async (
    what: string,
    name: string,
    command: string,
    outcome: string,
    code?: string,
    meanwhile?: () => Promise<unknown>,
  ): Promise<void> => {
    const user = at(name);
    const values = command === 'quotaGet' ? {} : { mailbox: command === 'aclGet' ? 'a' : ['a'] };
    const asked = overHttp('anna', '/doveadm/v1', [[command, { user, ...values }, 'tag']]);
    await meanwhile?.().catch(async (fault: unknown) => {
      const said = await Promise.race([asked, Promise.resolve('nothing yet')]);
      throw new Error(`${what}: answered ${said}`, { cause: fault });
    });
    const [[kind = '', answer] = []] = JSON.parse(await asked);
    assert.equal(kind, code === undefined ? 'doveadmResponse' : 'error', JSON.stringify(answer));
    const sentence = code === undefined ? undefined : String(answer.message);
    if (code !== undefined) assert.equal(answer.code, code);
    got.push({ what, user, principal: 'anna@panel', outcome, code, sentence });
  };
  const step = async (who: string, verb: string, body: unknown): Promise<AccessItem> => {
    const text = await overHttp(who, `/dovegate/v1/${verb}`, body);
    const item: AccessItem = JSON.parse(text);
    assert.equal(typeof item.id, 'string', text);
    return item;
  };
  const requested = async (command: string, name: string): Promise<string> => {
    const body = { users: [at(name)], reason: 'ticket 7', command: [command, 'a'] };
    return (await step('anna', 'request', body)).id;
  };
  const grants = new Map<string, RegExp>();
  await t.test('over HTTP: denied, under a grant, under break-glass', async () => {
    await send('HTTP, denied', 'httpdenied', 'mailboxDelete', 'denied', 'denied');
    await send('HTTP, failed', 'httpfailed', 'quotaGet', 'failed', 'backend-failed');
    const approved = await requested('mailbox subscribe', 'granted');
    await step('carol', 'approve', { id: approved });
    await send('under a grant', 'granted', 'mailboxSubscribe', 'ok');
    grants.set(
      at('granted'),
      new RegExp(`allowed by grant ${approved}: anna@panel asked, approved by carol@panel, use 1`),
    );
    const revoked = await requested('acl get', 'revoked');
    await step('carol', 'approve', { id: revoked });
    await send('its grant is revoked', 'revoked', 'aclGet', 'unknown', 'outcome-unknown', async () => {
      await until(() => running('revoked') !== undefined, 'it runs');
      await step('carol', 'revoke', { id: revoked });
    });
    grants.set(at('revoked'), new RegExp(`grant ${revoked}: anna@panel asked, approved by carol@panel`));
    const urgent = await requested('mailbox unsubscribe', 'urgent');
    await send('break-glass', 'urgent', 'mailboxUnsubscribe', 'ok');
    await step('carol', 'review', { id: urgent });
    grants.set(
      at('urgent'),
      new RegExp(
        `allowed by grant ${urgent}: anna@panel asked, without an approval \\(break-glass\\), reviewed by carol@panel, use 1`,
      ),
    );
  });

  await readNow();

  const last = await client();
  last.sendCommand({ user: at('lost'), fields: quota });
  await until(() => running('lost') !== undefined, 'it runs');
  await gateway.page?.stop();
  await daemon.kill();
  const again = await startDaemon(t, { folder: daemon.folder });
  await startPage(t, again);
  const lost = 'dovegate ended before it did; whether it ran is not known';
  add('killed with the process', 'lost', 'unknown', undefined, lost);

  const more = await openRawClient({ path: again.path('support.sock'), minor: 2, owner: t });
  more.sendCommand({ user: at('running'), fields: quota });
  await until(() => running('running') !== undefined, 'it runs');
  add('it runs still', 'running', 'open', undefined, 'it runs still, or its end was not recorded');

  const records = auditRecords(again);
  // The mirror of a fleet is its gates' journals, byte for byte (test/evidence/fleet-cli/mirror).
  const mirror = daemon.path('mirror');
  cpSync(daemon.path('audit'), join(mirror, 'gate1', String(records[0]?.['journal'])), { recursive: true });
  const token = await signIn(pagePort, 'erin', password);
  const look = async (path: string, body: unknown): Promise<TrailLine[]> => {
    const { status: code, body: text } = await askPageAt(pagePort, 'POST', path, { token, body });
    assert.equal(code, 200, text);
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line): TrailLine => JSON.parse(line));
  };
  // An answer ends after some seconds, and says where the next one begins.
  const rows: Row[] = [];
  for (let before: number | undefined, isFirst = true; isFirst || before !== undefined; isFirst = false) {
    const found = await look('/api/trail/search', { filter: {}, newest: { rows: 200, before } });
    rows.push(...found.filter((line): line is Row => 'row' in line));
    const end = found.find((line) => 'end' in line);
    assert.ok(end !== undefined && 'end' in end, JSON.stringify(found));
    ({ before } = end.end);
  }
  const places = [[daemon.path('audit')], ['--fleet', mirror]] as const;
  /** From a journal, then from the mirror. */
  const rowsOf = (...words: readonly string[]) =>
    Promise.all(
      places.map(async (place) =>
        (await runWarm(['audit', ...words, '--json', ...place])).stdout
          .toString()
          .split('\n')
          .filter((line) => line !== '')
          .map((line): Readonly<Record<string, unknown>> => JSON.parse(line)),
      ),
    );
  const searched = await rowsOf('search');
  const operator = String(records.find(({ action }) => action === 'kill')?.['by']);

  for (const { what, user, principal: who, id: known, outcome, code, sentence: whole = '' } of got) {
    // Where to look what is allowed is help for the client, and no part of why.
    const [sentence = ''] = whole.split('; what is allowed: ');
    await t.test(`the same for all: ${what}`, async () => {
      const own = records.filter((record) => record['event'] === 'admission' && record['for'] === undefined);
      const isOwn = (record: (typeof own)[number]): boolean =>
        user === '' ? record['command'] === 'dovegate dry-run' : record['user'] === user;
      const id = known ?? String(own.find(isOwn)?.['id']);
      assert.match(id, /^01\w{24}$/);

      const under = grants.get(user);
      let first = '';
      for (const place of places) {
        const shown = (await runWarm(['audit', 'show', id, ...place])).stdout.toString();
        const [title = '', line = ''] = shown.replace('on gate1\n', '').split('\n');
        first = line.trim();
        assert.match(title, new RegExp(`^exchange ${id}: .+, ${outcome}$`));
        // Of a denial people read which demand refused it, and the words of the client beside that.
        if (outcome !== 'denied') assert.ok(first.endsWith(sentence), first);
        assert.match(shown, new RegExp(`principal +${who}\n`));
        if (under !== undefined) assert.match(shown, under);
      }

      for (const lines of searched) {
        const row = lines.find((each) => each['id'] === id);
        assert.deepEqual([row?.['principal'], row?.['outcome'] ?? 'open'], [who, outcome]);
      }

      const atPage = rows.find(({ row: { fields } }) => fields['id'] === id);
      const { fields } = atPage?.row ?? assert.fail('no row');
      assert.deepEqual(
        [fields['principal'], fields['outcome'] ?? 'open', atPage?.why ?? ''],
        [who, outcome, first.endsWith(sentence) ? sentence : first],
      );

      const end = (await look('/api/trail/show', { wanted: id })).find((line) => 'end' in line);
      const story = end !== undefined && 'end' in end ? end.end.story : undefined;
      assert.deepEqual([story?.asked.principal, story?.outcome], [who, outcome]);
      const { answer = '', remarks = [] } = story ?? {};
      assert.equal(answer, first);
      if (outcome === 'denied' && under === undefined)
        assert.deepEqual(remarks, first.endsWith(sentence) ? [] : [`the client got: ${sentence}`]);
      else if (under === undefined)
        assert.equal(remarks.length, outcome === 'unknown' && code === undefined ? 1 : 0);
      else assert.match([answer, ...remarks].join(), under);

      const next = askedOtherwise.get(what);
      if (next !== undefined) assert.equal(story?.next, next);
      if (code === 'killed')
        assert.match(story?.next ?? '', new RegExp(`ask the operator ${operator}, who ended it$`));

      const trouble = troubles.get(id);
      if (trouble !== undefined) {
        assert.equal(trouble.principal, who);
        const isDenied = outcome === 'denied' || outcome === 'limited' || outcome === 'unparsable';
        assert.equal(trouble.kind, isDenied ? 'denied' : 'failed');
        // Now repeats nobody's words: it has them of the code.
        if (outcome === 'denied' && code !== 'access-denied') {
          assert.match(trouble.text, /^Denied by policy support[ ;(]/);
          assert.equal(trouble.owner, next === undefined ? 'policy' : 'requester');
        } else {
          const isQuoted = outcome === 'unparsable' || code === 'no-route';
          const text = isQuoted && isCode(code) ? codes[code].means : sentence;
          assert.equal(trouble.text, `${text.charAt(0).toUpperCase()}${text.slice(1)}.`);
        }
      } else assert.ok(outcome === 'ok' || outcome === 'aborted' || endedLate.has(what), 'Now has it');

      // A dry run touches nobody.
      if (user === '') return;
      for (const lines of await rowsOf('report', '--mailbox', user)) {
        const touch = lines.find((line) => line['id'] === id);
        const reported = [touch?.['requester'], touch?.['outcome'] ?? 'open', touch?.['why']];
        assert.deepEqual(reported, [who, outcome, sentence]);
      }
    });
  }
});
