// Goal: the story of access on request before a real Dovecot of each series, by its real doveadm and over HTTP. Phases: denied with the
// command that asks; requested; approved by a second person; works; uses and time run out; denied again; revoked in the middle of a fetch;
// expunge with the number of mails that was approved; and what the report, the search, the list of access and the proof say of all that.
// What must not happen: an answer without a grant, a whole answer after the revocation, more mails gone than were approved.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { AccessItem } from '../../../src/gate/access/access-item.js';
import { hashKey, keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import { startDaemon } from '../../kit/gate/daemon.js';
import { authority, filesOf, hash, openAccount } from '../../kit/gate/tcp-gate.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { openRawClient, type RawClient } from '../../kit/plain/raw-client.js';
import { askRaw, authorizationOf, encodePost } from '../../kit/plain/raw-http.js';
import { alice, backendPassword, onDovecot, openRealDovecot, runAt } from './real-gateway.js';

const bob = 'bob@example.org';

onDovecot('access on request', openRealDovecot, async (t, lab) => {
  const [leadsPort = 0, httpPort = 0] = await freePorts(2);
  const panel = makeKey(randomBytes(keyBytes));
  const leader = makeKey(randomBytes(keyBytes));
  const daemon = await startDaemon(t, {
    folder: mkdtempSync(join(lab.folder, 'gate-')),
    config: `version: 1
persons:
  carol: { accounts: [carol], keys: [leader] }
  dave: { accounts: [dave] }
listeners:
  support: { unix: support.sock, mode: "0600", policy: support }
  leads:
    tcp: "127.0.0.1:${leadsPort}"
    tls: { mode: implicit, certificate: gate.crt, key: gate.key }
    accounts:
      carol: { password_hash: "${hash}", policy: leads }
      dave: { password_hash: "${hash}", policy: leads }
  web:
    tcp: "127.0.0.1:${httpPort}"
    protocol: http
    tls: { mode: implicit, certificate: gate.crt, key: gate.key }
    keys:
      panel: { hash: "${hashKey(panel)}", policy: support, expires: 2099-01-01 }
      leader: { hash: "${hashKey(leader)}", policy: leads, expires: 2099-01-01 }
backends:
  mail1:
    address: localhost:${lab.port}
    tls: starttls
    ca: ca.pem
    password_file: mail1.password
    shared_namespaces: []
routes: [{ users: ["*"], backend: mail1 }]
policies:
  support:
    users: ["*@example.org"]
    allow: [mailbox status]
    on_request:
      - { command: [fetch, search], content: true, approvals: 1, for: 2h, scope: user, uses: 2, reason: { regex: "ticket [0-9]+.*" } }
      - { command: expunge, approvals: 2, for: 30m }
      - { command: mailbox list, approvals: 0, for: 1h, uses: 20 }
  leads:
    users: ["*@example.org"]
    allow: [mailbox list]
    approve: [support]
state: state
audit: { directory: audit, memory: audit.ring, memory_size: 1MiB, reserve: 4KiB, sign_key: sign.pem }
admin: { unix: admin.sock }
`,
    files: {
      ...filesOf(authority),
      'ca.pem': readFileSync(lab.caFile, 'utf8'),
      'mail1.password': `${backendPassword}\n`,
      'sign.pem': (await runWarm(['audit', 'keygen'])).stdout.toString(),
    },
  });
  const socket = daemon.path('support.sock');
  const doveadm = (...args: string[]) => runAt(lab, socket, args);
  const fetch = (user = alice) => doveadm('fetch', '-u', user, 'hdr.subject', 'mailbox', 'INBOX', 'all');
  const dovegate = async (...args: string[]) => {
    const [name = '', ...rest] = args;
    return runWarm([name, '--socket', socket, ...rest]);
  };
  const approver = async (name: string): Promise<(...fields: string[]) => Promise<AccessItem | string>> => {
    const client = await openAccount(leadsPort, name);
    t.after(() => client.close());
    return async (...fields) => {
      const reply = await client.ask({ user: '', fields });
      const json = /access\t(\{.*?\})\t/.exec(reply.body.toString())?.[1];
      if (json === undefined) return JSON.stringify(reply.logs);
      const item: AccessItem = JSON.parse(json);
      return item;
    };
  };
  const carol = await approver('carol');
  const dave = await approver('dave');
  const request = async (...args: string[]): Promise<AccessItem> => {
    const asked = await dovegate('request', '--json', ...args);
    assert.equal(asked.exit, 0, asked.text);
    return JSON.parse(asked.stdout.toString());
  };
  const reading = [
    '--user',
    alice,
    '--reason',
    'ticket 4711',
    '--',
    'fetch',
    'hdr.subject',
    'mailbox',
    'INBOX',
    'all',
  ];

  await t.test('denied, requested, approved by a second person, used up', async () => {
    const denied = await fetch();
    assert.equal(denied.exit, 77, denied.text);
    const asks = `available on request: dovegate request --socket ${socket} --user alice@example.org --reason `;
    assert.ok(denied.stderr.includes(asks), denied.stderr);
    const asked = await request(...reading);
    assert.equal(asked.matches, undefined, 'the number of mails is for approvers');
    assert.equal((await fetch()).exit, 77);
    const shown = await carol('dovegate access', asked.id);
    assert.ok(typeof shown === 'object' && (shown.matches ?? 0) > 0, JSON.stringify(shown));
    const granted = await carol('dovegate approve', asked.id);
    assert.ok(typeof granted === 'object' && granted.state === 'granted', JSON.stringify(granted));
    for (const use of [1, 2]) {
      const worked = await fetch();
      assert.equal(worked.exit, 0, `${use}: ${worked.text}`);
      assert.match(worked.stdout.toString(), /hdr.subject/);
    }
    assert.equal((await fetch()).exit, 77);
    assert.equal((await fetch(bob)).exit, 77);
  });

  await t.test('the time runs out', async () => {
    const { id } = await request(...reading);
    const granted = await carol('dovegate approve', '--for', '15s', id);
    assert.ok(typeof granted === 'object' && granted.for_ms === 15_000, JSON.stringify(granted));
    assert.equal((await fetch()).exit, 0);
    // Within them a busy machine has made the fetch.
    await pause(15_500);
    assert.equal((await fetch()).exit, 77);
  });

  await t.test('revoked in the middle of a fetch', async () => {
    const { id } = await request(
      '--user',
      alice,
      '--reason',
      'ticket 2',
      '--',
      'fetch',
      'text',
      'mailbox',
      'Big',
      'all',
    );
    await carol('dovegate approve', id);
    const slow = await openRawClient({ path: socket, minor: 2, timeoutMs: 60_000, owner: t });
    const whole = await sizeOf(slow, false);
    slow.setStopped(true);
    slow.sendCommand({ user: alice, fields: ['fetch', 'text', 'mailbox', 'Big', 'all'] });
    await pause(500);
    const revoked = await carol('dovegate revoke', id);
    assert.ok(typeof revoked === 'object' && revoked.state === 'revoked', JSON.stringify(revoked));
    slow.setStopped(false);
    const cut = await slow.readReply({ keepBody: false }).then(
      ({ status, bodyBytes }) => ({ status, bytes: bodyBytes }),
      () => ({ status: 'closed', bytes: 0 }),
    );
    assert.notEqual(cut.status, '+');
    assert.ok(cut.bytes < whole / 2, `${cut.bytes} of ${whole} bytes`);
  });

  await t.test('two approvals; no more mails than were counted', async () => {
    const expunge = ['expunge', '-u', bob, 'mailbox', 'INBOX', 'all'];
    const { id } = await request(
      '--user',
      bob,
      '--reason',
      'too many',
      '--',
      'expunge',
      'mailbox',
      'INBOX',
      'all',
    );
    const shown = await carol('dovegate access', id);
    assert.ok(typeof shown === 'object' && (shown.matches ?? 0) > 0, JSON.stringify(shown));
    const first = await carol('dovegate approve', id);
    assert.ok(typeof first === 'object' && first.state === 'requested', JSON.stringify(first));
    assert.match(
      JSON.stringify(await carol('dovegate approve', id)),
      /second approval is for another person/,
    );
    assert.equal((await doveadm(...expunge)).exit, 77);
    assert.match(JSON.stringify(await dave('dovegate approve', id)), /no number was shown/);
    const second = await dave('dovegate approve', id);
    assert.ok(typeof second === 'object' && second.state === 'granted', JSON.stringify(second));
    const mails = Number(second.matches);
    const worked = await doveadm(...expunge);
    assert.equal(worked.exit, 0, worked.text);
    assert.ok(mails > 0);
    assert.equal((await doveadm(...expunge)).exit, 77);
  });

  await t.test('over HTTP', async () => {
    const at = { port: httpPort, tls: { ca: authority.certificatePem, serverName: 'localhost' } };
    const post = async (key: string, target: string, body: unknown) => {
      const sent = { target, authorization: authorizationOf.key(key), body: JSON.stringify(body) };
      const answer = await askRaw(at, encodePost(sent));
      return { status: answer.status, text: answer.body.toString() };
    };
    const fetchOver = (tag: string) =>
      post(panel, '/doveadm/v1', [
        ['fetch', { user: alice, field: ['hdr.subject'], query: ['mailbox', 'INBOX'] }, tag],
      ]);
    assert.match((await fetchOver('t1')).text, /on-request/);
    const command = ['fetch', 'hdr.subject', 'mailbox', 'INBOX'];
    const asked = await post(panel, '/dovegate/v1/request', {
      users: [alice],
      reason: 'ticket 5',
      uses: 1,
      command,
    });
    assert.equal(asked.status, 200, asked.text);
    const id = /"id":"([0-9A-Z]{26})"/.exec(asked.text)?.[1];
    const own = await post(panel, '/dovegate/v1/approve', { id });
    assert.match(own.text, /not permitted/);
    const granted = await post(leader, '/dovegate/v1/approve', { id });
    assert.match(granted.text, /"state":"granted"/);
    assert.match((await fetchOver('t2')).text, /doveadmResponse/);
    assert.match((await fetchOver('t3')).text, /on-request/);
  });

  await t.test('report, search, list and proof', async () => {
    assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
    const directory = daemon.path('audit');
    const report = await runWarm(['audit', 'report', '--mailbox', alice, directory]);
    assert.match(report.text, /approved by carol@leads/, report.text);
    const access = await runWarm(['audit', 'access', '--since', '1d', directory]);
    assert.equal(access.exit, 0, access.text);
    assert.match(access.text, /alice@example\.org/);
    const [first] = JSON.parse(
      `[${(await runWarm(['audit', 'access', '--since', '1d', '--json', directory])).stdout
        .toString()
        .trim()
        .split('\n')
        .join(',')}]`,
    );
    const history = await runWarm(['audit', 'search', '--grant', String(first?.id), directory]);
    for (const action of ['requested', 'approved', 'granted', 'used-up'])
      assert.ok(history.text.includes(action), history.text);
    const verified = await runWarm(['audit', 'verify', directory, '--key', daemon.path('sign.pem')]);
    assert.equal(verified.exit, 0, verified.text);
  });
});

/** The size of the whole answer, which uses the grant once. */
async function sizeOf(client: RawClient, keepBody: boolean): Promise<number> {
  const reply = await client.ask(
    { user: alice, fields: ['fetch', 'text', 'mailbox', 'Big', 'all'] },
    { keepBody },
  );
  assert.equal(reply.status, '+');
  return reply.bodyBytes;
}
