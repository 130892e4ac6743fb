// Goal: the story of access on request before a real Dovecot of each series, by its real doveadm. Phases: denied with the command that
// asks; requested; approved by a second person; works; uses run out; denied again; revoked in the middle of a fetch; expunge with the
// number of mails that was approved; and what the report and the search say of all that.
// What must not happen: an answer without a grant, a whole answer after the revocation, more mails gone than were approved.
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { runWarm } from '../../kit/gate/warm-program.js';
import { ends } from '../../kit/plain/program.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { openAccessGate } from './access-gate.js';
import { alice, onDovecot, openRealDovecot, runAt } from './real-gateway.js';

const bob = 'bob@example.org';
const inbox = ['mailbox', 'INBOX', 'all'];
const reading = { command: 'fetch', content: true, approvals: 1, for: '2h', scope: 'user', uses: 2 };
const rules = [
  { ...reading, reason: { regex: 'ticket [0-9]+.*' } },
  { command: 'expunge', approvals: 2, for: '30m' },
];

onDovecot('access on request', openRealDovecot, async (t, lab) => {
  const onRequest = rules.map((rule) => JSON.stringify(rule)).join(', ');
  const { gateway, socket, tell, request } = await openAccessGate(t, lab, onRequest);
  const exitOf = async (...args: string[]): Promise<number> => (await runAt(lab, socket, args)).exit;
  const subjects = (user = alice): string[] => ['fetch', '-u', user, 'hdr.subject', ...inbox];

  await t.test('denied, requested, approved by a second person, used up', async () => {
    const denied = await ends(77, runAt(lab, socket, subjects()));
    const asks = `available on request: dovegate request --socket ${socket} --user alice@example.org --reason `;
    assert.ok(denied.stderr.includes(asks), denied.stderr);
    const { id, matches } = await request(alice, 'ticket 4711', ['fetch', 'hdr.subject', ...inbox]);
    assert.equal(matches, undefined, 'the number of mails is for approvers');
    assert.equal(await exitOf(...subjects()), 77);
    const shown = await tell('carol', 'dovegate access', id);
    assert.ok((shown.matches ?? 0) > 0, shown.said);
    const granted = await tell('carol', 'dovegate approve', id);
    assert.equal(granted.state, 'granted', granted.said);
    for (const use of [1, 2]) {
      const worked = await runAt(lab, socket, subjects());
      assert.equal(worked.exit, 0, `${use}: ${worked.text}`);
      assert.match(worked.stdout.toString(), /hdr.subject/);
    }
    assert.deepEqual([await exitOf(...subjects()), await exitOf(...subjects(bob))], [77, 77]);
  });

  await t.test('revoked in the middle of a fetch', async () => {
    const big = ['fetch', 'text', 'mailbox', 'Big', 'all'];
    const { id } = await request(alice, 'ticket 2', big);
    await tell('carol', 'dovegate approve', id);
    const slow = await openRawClient({ path: socket, minor: 2, timeoutMs: 60_000, owner: t });
    const whole = await slow.ask({ user: alice, fields: big }, { keepBody: false });
    assert.equal(whole.status, '+');
    slow.setStopped(true);
    slow.sendCommand({ user: alice, fields: big });
    await pause(500);
    const revoked = await tell('carol', 'dovegate revoke', id);
    assert.equal(revoked.state, 'revoked', revoked.said);
    slow.setStopped(false);
    const cut = await slow
      .readReply({ keepBody: false })
      .catch(() => ({ status: 'closed', bodyBytes: 0 }) as const);
    assert.notEqual(cut.status, '+');
    assert.ok(cut.bodyBytes < whole.bodyBytes / 2, `${cut.bodyBytes} of ${whole.bodyBytes} bytes`);
  });

  await t.test('two approvals; no more mails than were counted', async () => {
    const expunge = ['expunge', '-u', bob, ...inbox];
    const { id } = await request(bob, 'too many', ['expunge', ...inbox]);
    const shown = await tell('carol', 'dovegate access', id);
    assert.ok((shown.matches ?? 0) > 0, shown.said);
    const first = await tell('carol', 'dovegate approve', id);
    assert.equal(first.state, 'requested', first.said);
    const same = await tell('carol', 'dovegate approve', id);
    assert.match(same.said, /second approval is for another person/);
    assert.equal(await exitOf(...expunge), 77);
    assert.match((await tell('dave', 'dovegate approve', id)).said, /no number was shown/);
    const second = await tell('dave', 'dovegate approve', id);
    assert.equal(second.state, 'granted', second.said);
    assert.ok((second.matches ?? 0) > 0, second.said);
    assert.deepEqual([await exitOf(...expunge), await exitOf(...expunge)], [0, 77]);
  });

  await t.test('report, list and search', async () => {
    await gateway.finish();
    const directory = gateway.daemon.path('audit');
    const report = await runWarm(['audit', 'report', '--mailbox', alice, directory]);
    assert.match(report.text, /approved by carol@leads/, report.text);
    const listed = await ends(0, runWarm(['audit', 'access', '--since', '1d', '--json', directory]));
    const { id } = JSON.parse(listed.stdout.toString().split('\n', 1).join(''));
    const history = await runWarm(['audit', 'search', '--grant', String(id), directory]);
    for (const action of ['requested', 'approved', 'granted', 'used-up'])
      assert.ok(history.text.includes(action), history.text);
    await ends(0, runWarm(['audit', 'verify', directory, '--key', `${directory}/key.pub`]));
  });
});
