// Goal: the owner's story before a real Dovecot of each series. A support agent reads the mails of alice under a grant; at once her panel
// shows it, signed for a stranger, too; access that two persons keep from her is in no report until its end, and all of it afterwards.
// What must not happen: a name, a word of her mails.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OwnerReport } from '../../../src/evidence/report/owner.js';
import { hashKey, keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import { startPage } from '../../kit/gate/daemon.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { ends } from '../../kit/plain/program.js';
import { until } from '../../kit/plain/until.js';
import { openAccessGate } from './access-gate.js';
import { alice, onDovecot, openRealDovecot, runAt } from './real-gateway.js';

const reportPath = '/dovegate/v1/mailbox-report';
const fetching = ['fetch', 'hdr.subject', 'mailbox', 'INBOX', 'all'];

onDovecot('what owners see', openRealDovecot, async (t, lab) => {
  const [panelPort = 0, pagePort = 0] = await freePorts(2);
  const panelKey = makeKey(randomBytes(keyBytes));
  const rule = '{ command: fetch, content: true, approvals: 1, for: 1h, scope: user, quiet: 1d }';
  const { gateway, socket, tell, request } = await openAccessGate(t, lab, rule, {
    listeners: `  panel:
    tcp: 127.0.0.1:${panelPort}
    protocol: http
    tls: { mode: off }
    keys: { panel: { hash: "${hashKey(panelKey)}", policy: panels, owner_reports: true, expires: 2099-01-01 } }`,
    policies: '  panels: { users: ["*@example.org"], allow: [quota get] }',
    more: `admin:
  unix: admin.sock
  door: door.sock
  page: { tcp: "127.0.0.1:${pagePort}", unix: page.sock, people: { ourselves: { user: "${process.getuid?.()}", role: audit } } }`,
  });
  const { daemon } = gateway;
  const ask = (...more: string[]) => request(alice, 'ticket 4711', fetching, ...more);
  const read = async (): Promise<void> => {
    const [name = '', ...words] = fetching;
    await ends(0, runAt(lab, socket, [name, '-u', alice, ...words]));
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
    rows.map(({ grant, class: group, content, commands, reason, approved_by: by }) => [
      [grant, group, content, commands].join(' '),
      reason,
      by,
    ]);
  /** The same, signed, as a stranger checks it who has the public key alone. */
  const signed = async (): Promise<string> => {
    const own = ['--mailbox', alice, '--owner', '--socket', daemon.path('page.sock')];
    const made = await ends(0, runWarm(['audit', 'report', ...own]));
    const folder = mkdtempSync(join(lab.folder, 'stranger-'));
    const [extract, key] = [join(folder, 'extract.txt'), join(folder, 'key.pub')];
    writeFileSync(extract, made.stdout);
    writeFileSync(key, readFileSync(daemon.path('audit/key.pub')));
    await ends(0, runWarm(['audit', 'check-proof', extract, '--key', key]));
    return made.stdout.toString();
  };

  const { id } = await ask();
  assert.equal((await tell('carol', 'dovegate approve', id)).state, 'granted');
  await read();
  await read();
  // There is nothing to wait for.
  assert.deepEqual(rowsOf(await panel()), [[`${id} content yes 2`, 'ticket 4711', ['leads']]]);
  assert.ok((await signed()).includes(id));

  await t.test('kept from the owner: nothing until then, then everything', async () => {
    const asked = await ask('--quiet', '60s');
    assert.equal(asked.approvals, 2);
    assert.equal((await tell('carol', 'dovegate approve', asked.id)).state, 'requested');
    const granted = await tell('dave', 'dovegate approve', asked.id);
    assert.equal(granted.state, 'granted');
    const endMs = Date.parse(granted.granted ?? '') + 60_000;
    // The older grant would be used before it.
    await ends(0, runWarm(['revoke', '--socket', socket, id]));
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
        [`${id} content yes 2`, 'ticket 4711', ['leads']],
        [`${asked.id} content yes 2`, 'ticket 4711', ['leads', 'leads']],
      ]),
    );
    const times = later.rows.map(({ kept_until }) => Date.parse(kept_until ?? ''));
    assert.deepEqual(times.filter(Boolean), [endMs]);
    assert.ok((await signed()).includes(asked.id));
    await page.stop();
  });
});
