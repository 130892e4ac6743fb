// Goal: the owner's story before a real Dovecot of each series. A support agent reads the mails of alice under a grant; at once her panel
// shows it, signed for a stranger, too; access that two persons keep from her is in no report until its end, and all of it afterwards.
// What must not happen: a name, a word of her mails.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OwnerReport } from '../../../src/evidence/report/owner.js';
import type { AccessItem } from '../../../src/gate/access/access-item.js';
import { hashKey, keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import { startDaemon, startPage } from '../../kit/gate/daemon.js';
import { authority, filesOf, hash, openAccount } from '../../kit/gate/tcp-gate.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { until } from '../../kit/plain/until.js';
import { alice, backendPassword, onDovecot, openRealDovecot, runAt } from './real-gateway.js';

const reportPath = '/dovegate/v1/mailbox-report';

onDovecot('what owners see', openRealDovecot, async (t, lab) => {
  const [leadsPort = 0, panelPort = 0, pagePort = 0] = await freePorts(3);
  const panelKey = makeKey(randomBytes(keyBytes));
  const daemon = await startDaemon(t, {
    folder: mkdtempSync(join(lab.folder, 'gate-')),
    config: `version: 1
persons:
  carol: { accounts: [carol] }
  dave: { accounts: [dave] }
listeners:
  support: { unix: support.sock, mode: "0600", policy: support }
  leads:
    tcp: "127.0.0.1:${leadsPort}"
    tls: { mode: implicit, certificate: gate.crt, key: gate.key }
    accounts:
      carol: { password_hash: "${hash}", policy: leads }
      dave: { password_hash: "${hash}", policy: leads }
  panel:
    tcp: 127.0.0.1:${panelPort}
    protocol: http
    tls: { mode: off }
    keys: { panel: { hash: "${hashKey(panelKey)}", policy: panels, owner_reports: true, expires: 2099-01-01 } }
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
    allow: [quota get]
    on_request:
      - { command: fetch, content: true, approvals: 1, for: 1h, scope: user, quiet: 1d, reason: { regex: "ticket .*" } }
  leads:
    users: ["*@example.org"]
    allow: [mailbox list]
    approve: [support]
  panels: { users: ["*@example.org"], allow: [quota get] }
state: state
audit: { door: ship.sock, directory: audit, memory: audit.ring, memory_size: 1MiB, reserve: 4KiB, sign_key: sign.pem }
admin:
  unix: admin.sock
  door: door.sock
  page: { tcp: "127.0.0.1:${pagePort}", unix: page.sock, people: { ourselves: { user: "${process.getuid?.()}", role: audit } } }
`,
    files: {
      ...filesOf(authority),
      'ca.pem': readFileSync(lab.caFile, 'utf8'),
      'mail1.password': `${backendPassword}\n`,
      'sign.pem': (await runWarm(['audit', 'keygen'])).stdout.toString(),
    },
  });
  const socket = daemon.path('support.sock');
  const approve = async (name: string, id: string): Promise<AccessItem> => {
    const client = await openAccount(leadsPort, name);
    const reply = await client.ask({ user: '', fields: ['dovegate approve', id] });
    client.close();
    return JSON.parse(/access\t(\{.*?\})\t/.exec(reply.body.toString())?.[1] ?? JSON.stringify(reply.logs));
  };
  const request = async (...more: string[]): Promise<AccessItem> => {
    const line = ['--', 'fetch', 'hdr.subject', 'mailbox', 'INBOX', 'all'];
    const asked = await runWarm([
      'request',
      '--socket',
      socket,
      '--json',
      '--user',
      alice,
      '--reason',
      'ticket 4711',
      ...more,
      ...line,
    ]);
    assert.equal(asked.exit, 0, asked.text);
    return JSON.parse(asked.stdout.toString());
  };
  const read = async (): Promise<void> => {
    const done = await runAt(lab, socket, ['fetch', '-u', alice, 'hdr.subject', 'mailbox', 'INBOX', 'all']);
    assert.equal(done.exit, 0, done.text);
  };

  const page = await startPage(t, daemon);
  /** What her panel shows. */
  const panel = async (): Promise<OwnerReport> => {
    const made = await fetch(`http://127.0.0.1:${panelPort}${reportPath}`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${panelKey}` },
      body: JSON.stringify({ user: alice }),
    });
    const { token } = JSON.parse(await made.text());
    const shown = await fetch(`http://127.0.0.1:${pagePort}${reportPath}`, {
      headers: { Authorization: `Bearer ${token}` },
    });
    const text = await shown.text();
    assert.equal(shown.status, 200, text);
    assert.doesNotMatch(text, /carol|dave|hdr|INBOX|root@/);
    return JSON.parse(text);
  };
  const rowsOf = ({ rows }: OwnerReport): unknown[] =>
    rows.map(({ grant, commands, reason, approved_by: by }) => [grant, commands, reason, by]);
  /** The same, signed, as a stranger checks it who has the public key alone. */
  const signed = async (): Promise<string> => {
    const made = await runWarm([
      'audit',
      'report',
      '--mailbox',
      alice,
      '--owner',
      '--socket',
      daemon.path('page.sock'),
    ]);
    assert.equal(made.exit, 0, made.text);
    const folder = mkdtempSync(join(lab.folder, 'stranger-'));
    const [extract, key] = [join(folder, 'extract.txt'), join(folder, 'key.pub')];
    writeFileSync(extract, made.stdout);
    writeFileSync(key, readFileSync(daemon.path('audit/key.pub')));
    const checked = await runWarm(['audit', 'check-proof', extract, '--key', key]);
    assert.equal(checked.exit, 0, checked.text);
    return made.stdout.toString();
  };

  const { id } = await request();
  assert.equal((await approve('carol', id)).state, 'granted');
  await read();
  await read();
  // There is nothing to wait for.
  assert.deepEqual(rowsOf(await panel()), [[id, 2, 'ticket 4711', ['leads']]]);
  assert.ok((await signed()).includes(id));

  await t.test('kept from the owner: nothing until then, then everything', async () => {
    const asked = await request('--quiet', '60s');
    assert.equal(asked.approvals, 2);
    assert.equal((await approve('carol', asked.id)).state, 'requested');
    const granted = await approve('dave', asked.id);
    assert.equal(granted.state, 'granted');
    const endMs = Date.parse(granted.granted ?? '') + 60_000;
    // The older grant would be used before it.
    const revoked = await runWarm(['revoke', '--socket', socket, id]);
    assert.equal(revoked.exit, 0, revoked.text);
    await read();
    await read();
    const [during, extract] = [await panel(), await signed()];
    assert.ok(Date.now() < endMs, 'too slow for this test');
    assert.ok(!JSON.stringify(during).includes(asked.id) && !extract.includes(asked.id));
    assert.equal(during.rows.length, 1);
    await until(() => Date.now() > endMs, 'the end of it');
    const later = await panel();
    assert.deepEqual(
      new Set(rowsOf(later)),
      new Set([
        [id, 2, 'ticket 4711', ['leads']],
        [asked.id, 2, 'ticket 4711', ['leads', 'leads']],
      ]),
    );
    assert.deepEqual(later.rows.map(({ kept_until }) => Date.parse(kept_until ?? '')).filter(Boolean), [
      endMs,
    ]);
    assert.ok((await signed()).includes(asked.id));
    await page.stop();
  });
});
