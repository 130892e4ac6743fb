// Goal: with a real Dovecot, whatever goes wrong is told as it is, and once it is over everything works again by itself.
// Phases: refusals; Dovecot reloaded, stopped and started.
// What must not happen: a refused command or a line of a mail that reaches Dovecot; a client that waits for ever.
import assert from 'node:assert/strict';
import type { Daemon, LogRecord } from '../../kit/gate/daemon.js';
import type { Lab } from '../../kit/plain/dovecot-lab.js';
import type { ProgramResult } from '../../kit/plain/program.js';
import { ends } from '../../kit/plain/program.js';
import { openTcpCounter } from '../../kit/plain/tcp-counter.js';
import {
  alice,
  assertNoSecret,
  backendPassword,
  onDovecot,
  openRealDovecot,
  openRealGateway,
  type RealGateway,
  runAt,
} from './real-gateway.js';

const quota = ['quota', 'get', '-u', alice];

onDovecot('refusals, and a Dovecot in trouble', openRealDovecot, async (t, lab) => {
  await t.test('what is refused never reaches Dovecot', async (refusals) => {
    const counter = await openTcpCounter(lab);
    refusals.after(() => counter.close());
    const gateway = await openRealGateway(refusals, lab, {
      port: counter.port,
      allow: ['mailbox create'],
      listeners: `  others: { unix: others.sock, mode: "0600", peers: { users: [64001] }, policy: support }
  cells: { unix: cells.sock, mode: "0600", refusal_cell: true, policy: narrow }`,
      policies: '  narrow: { users: ["*@example.org"], allow: [quota get] }',
    });
    const before = await everyMailbox(lab);

    await refusals.test('a denied command', async () => {
      const denied = [
        ['mailbox', 'delete', '-u', alice, 'Archive'],
        ['expunge', '-u', alice, 'mailbox', 'INBOX', 'all'],
        ['flags', 'add', '-u', alice, '\\Deleted', 'all'],
        ['quota', 'get', '-u', 'ceo@elsewhere.org'],
        ['force-resync', '-u', alice, '*'],
      ];
      for (const args of denied) {
        const result = await gateway.doveadm(args);
        assert.deepEqual([result.exit, rowsOf(result)], [77, []], args.join(' '));
        assert.match(result.stderr, /dovegate: denied by policy support/);
      }
    });

    await refusals.test('doveadm prints the reason, where `peers` does not permit it', async () => {
      const others = gateway.daemon.path('others.sock');
      const save = ['save', '-u', alice, '-m', 'INBOX'];
      for (const [args, stdin] of [
        [quota, ''],
        [save, 'Subject: x\n\n' + 'text\n'.repeat(500)],
        [['mailbox', 'create', '-u', alice, 'New'], ''],
      ] as const) {
        const refused = await runAt(lab, others, args, undefined, { stdin });
        assert.deepEqual([refused.exit, rowsOf(refused)], [77, []], refused.text);
        assert.match(
          refused.stderr,
          /dovegate: \S+ \(uid \d+, gid \d+\) is not among the peers of listener others; ask .* \[peer-refused\]/,
        );
      }
    });

    await refusals.test(
      'doveadm prints the reason of a denial where refusals are cells for others',
      async () => {
        const cells = gateway.daemon.path('cells.sock');
        // These have no columns: a cell would crash it.
        for (const args of [
          ['save', '-u', alice, '-m', 'INBOX'],
          ['mailbox', 'create', '-u', alice, 'New'],
          ['force-resync', '-u', alice, '*'],
        ]) {
          const denied = await runAt(lab, cells, args, undefined, { stdin: 'x\n' });
          assert.deepEqual([denied.exit, rowsOf(denied)], [77, []], denied.text);
          assert.match(denied.stderr, /dovegate: denied by policy narrow .* \[denied\]/);
        }
      },
    );

    await refusals.test('lines of a denied save are not run, and the session goes on', async () => {
      const line = `\t${alice}\tmailbox create\tFromTheMail\n`;
      const mail = `Subject: trap\n\n${line}.\n${line}..\n${line}`;
      for (const args of [[], ['-m', 'INBOX']]) {
        const result = await gateway.doveadm(['save', '-u', alice, ...args], { stdin: mail });
        assert.deepEqual([result.exit, rowsOf(result)], [77, []]);
      }
      const client = await gateway.client({ minor: 2 });
      client.sendCommand({ user: alice, fields: ['save'] });
      await client.write(`Subject: trap\n\n${line}..\n${line}.\n`);
      assert.equal((await client.readReply()).status, '-NOPERM');
      assert.equal(counter.connections, 0);
      assert.equal(await everyMailbox(lab), before);
      const { status, cells } = await client.ask({ user: alice, fields: ['mailbox list'] });
      assert.equal(status, '+');
      assert.ok(cells.includes('INBOX') && !cells.includes('FromTheMail'));
    });

    // What `peers` refuses is no command. On a fast machine more than ten denials fall into a second, and the others are only counted.
    const records = await gateway.finish();
    const outcomes = records.flatMap(({ event, outcome, action, count }) =>
      event === 'completion'
        ? [String(outcome)]
        : event === 'limit' && action === 'refused'
          ? Array.from({ length: Number(count) }, () => 'denied')
          : [],
    );
    const all = [...Array.from({ length: 5 + 3 + 3 }, () => 'denied'), 'ok'];
    assert.deepEqual(outcomes.toSorted(), all);
  });

  await t.test('a Dovecot that cannot be reached, and one that is there again', async (sub) => {
    const gateway = await openRealGateway(sub, lab, { password: 'another-one-entirely' });
    const { daemon } = gateway;
    await assertBarred(gateway, 'auth-rejected');
    const barred = countOf(daemon, 'backend-up');
    daemon.write('mail1.password', `${backendPassword}\n`);
    await gateway.reload({ idle: 1 });
    await daemon.waitForLog(() => countOf(daemon, 'backend-up') > barred, 'the way is open', 60_000);
    const expected = await assertWorks(gateway);

    await sub.test('a reload of Dovecot while upstreams are idle is noticed by no client', async () => {
      const closed = countOf(daemon, 'upstream-closed');
      await ends(0, lab.doveadm(['reload']));
      await recovered(lab);
      // Releases below minor 4 end their idle processes some seconds later.
      const opened = daemon.logs.find(({ event }) => event === 'upstream-opened');
      const isEnded = (): boolean => countOf(daemon, 'upstream-closed') > closed;
      if (Number(opened?.['minor']) < 4)
        await daemon.waitForLog(isEnded, 'the end of the idle upstream', 60_000);
      assert.deepEqual(await assertWorks(gateway), expected);
    });

    await sub.test('Dovecot stopped: exit 75 and one line; started again: it works', async () => {
      const ups = countOf(daemon, 'backend-up');
      const before = failedDials(daemon).length;
      await lab.stop();
      // At the other end of the idle upstream a process of the stopped Dovecot lives on and says TEMPFAIL itself. It must not be asked
      // twice: it would go on answering for a Dovecot that is gone, and later with the settings of the old one.
      await ends(75, gateway.doveadm(quota));
      // The first of both commands may have dialed already: its socket is gone.
      await assertBarred(gateway, 'dial-refused', before);
      await lab.start();
      await daemon.waitForLog(() => countOf(daemon, 'backend-up') > ups, 'the return', 60_000);
      assert.deepEqual(await assertWorks(gateway), expected);
      assert.deepEqual(await assertWorks(gateway), expected);
    });

    await gateway.finish();
    assertNoSecret(daemon, backendPassword);
  });
});

function countOf({ logs }: Daemon, code: string): number {
  return logs.filter(({ event }) => event === code).length;
}

/** A command that must succeed; gives what it printed. */
async function assertWorks(gateway: RealGateway): Promise<string> {
  const result = await gateway.doveadm(quota);
  assert.equal(result.exit, 0, result.stderr);
  return result.stdout.toString();
}

/** Dials that failed, but for those after the first failed one, which are of level debug. */
function failedDials({ logs }: Daemon): readonly LogRecord[] {
  return logs.filter(({ event, level }) => event === 'dial-failed' && level === 'error');
}

/** The next command fails for this cause, by itself, and since `before` one record of the log names backend and cause. */
async function assertBarred(
  gateway: RealGateway,
  cause: string,
  before = failedDials(gateway.daemon).length,
): Promise<void> {
  const { daemon } = gateway;
  const result = await gateway.doveadm(quota, { timeoutMs: 60_000 });
  assert.deepEqual([result.exit, rowsOf(result)], [75, []], result.text);
  assert.match(result.stderr, /mail1/);
  await daemon.waitForLog(({ type }) => type === cause, cause);
  const [told, ...more] = failedDials(daemon).slice(before);
  assert.deepEqual([told?.['backend'], told?.['type'], more], ['mail1', cause, []]);
  assert.match(String(told?.['text']), /mail1/);
}

/** Waits until a reload is over: during it Dovecot refuses connections and fails commands at its own socket too (measured on 2.4.5). */
async function recovered(lab: Lab): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    const result = await lab.doveadm([...quota, '-S', lab.inRoot(lab.unixPreauth)]);
    if (result.exit === 0) return;
    assert.ok(tries < 100, result.stderr);
  }
}

/** What a table holds below its head, which the program prints whatever comes. */
function rowsOf({ stdout }: ProgramResult): string[] {
  return stdout.toString().split('\n').slice(1, -1);
}

/** All mailboxes of alice with all their counts, as Dovecot itself says. */
async function everyMailbox(lab: Lab): Promise<string> {
  const result = await lab.doveadm(['-f', 'tab', 'mailbox', 'status', '-u', alice, 'all', '*']);
  assert.equal(result.exit, 0, result.stderr);
  return result.stdout.toString();
}
