// Goal: at a real Dovecot, somebody of a team reads the mail of alice with a reason, and within a minute her panel gets a report that says
// so, without a name; and with one, once the policy shows people. What must not happen: a name before that, a row for another user.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { OwnerReport } from '../../../src/evidence/report/owner.js';
import { hashKey, keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import { startPage } from '../../kit/gate/daemon.js';
import { recordsOf } from '../../kit/gate/gateway.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { until } from '../../kit/plain/until.js';
import { alice, onDovecot, openRealDovecot, openRealGateway } from './real-gateway.js';

const path = '/dovegate/v1/mailbox-report';

onDovecot('the owner sees who read the mail', openRealDovecot, async (t, lab) => {
  const [port = 0, pagePort = 0] = await freePorts(2);
  const key = makeKey(randomBytes(keyBytes));
  const uid = process.getuid?.() ?? -1;
  const gateway = await openRealGateway(t, lab, {
    listeners: `  panel:
    tcp: 127.0.0.1:${port}
    protocol: http
    tls: { mode: off }
    keys: { panel: { hash: "${hashKey(key)}", policy: panels, owner_reports: true, expires: 2099-01-01 } }`,
    policy: `\n    users: ["*@example.org"]\n    allow: [{ command: fetch, content: true }]`,
    policies: '  panels: { users: ["*@example.org"], allow: [quota get] }',
    more: `admin:
  door: door.sock
  page: { tcp: "127.0.0.1:${pagePort}", unix: page.sock, people: { ourselves: { user: "${uid}", role: view } } }`,
  });
  const page = await startPage(t, gateway.daemon);
  const client = await gateway.client({ minor: 3 });
  client.send('\t\tOPTION\tdovegate-reason=ticket 4711');
  const reply = await client.ask({
    user: alice,
    fields: ['fetch', 'hdr.subject', 'mailbox', 'INBOX', 'all'],
  });
  assert.equal(reply.status, '+');
  client.close();
  await until(() => recordsOf(gateway.daemon, 'completion').length > 0, 'the end of the command');
  const made = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${key}` },
    body: JSON.stringify({ user: 'ALICE@example.org' }),
  });
  const { token } = JSON.parse(await made.text());
  const ask = async (more: string, headers: Readonly<Record<string, string>> = {}): Promise<string> => {
    const answered = await fetch(`http://127.0.0.1:${pagePort}${path}${more}`, {
      headers: { Authorization: `Bearer ${token}`, ...headers },
    });
    const text = await answered.text();
    assert.equal(answered.status, 200, text);
    return text;
  };
  const text = await ask('');
  const principal = String(recordsOf(gateway.daemon, 'admission')[0]?.['principal']);
  assert.ok(!(text + (await ask('', { Accept: 'text/html' }))).includes(principal));
  const report: OwnerReport = JSON.parse(text);
  assert.deepEqual(
    report.rows.map(({ class: group, reason, commands, content }) => [group, reason, commands, content]),
    [['content', 'ticket 4711', 1, 'yes']],
  );
  await page.stop();
  await gateway.finish();
});
