// Goal: the client library at real Dovecots, directly and through the daemon: every way to connect, every minor, rows, long values, texts
// both ways, failures by their code. What must not happen: a byte of a text that is lost, a session that stays open.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext } from 'node:test';
import { CommandFailed, type ConnectOptions, connect, type Session } from '../../../src/client/connect.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import type { Lab } from '../../kit/plain/dovecot-lab.js';
import { alice, backendPassword, onDovecot, openRealDovecot, openRealGateway } from './real-gateway.js';

const quota = { user: alice, name: 'quota get', columns: 5 };
const statusOf = (mailbox: string) => ({
  user: alice,
  name: 'mailbox status',
  args: ['--', 'messages', mailbox],
});
/** Its text is large. */
const big = { user: alice, name: 'fetch', args: ['--', 'text', 'mailbox', 'Big', 'all'] };

onDovecot('the client library', openRealDovecot, async (t, lab) => {
  await t.test('every way to connect, every minor', () => connectEveryWay(lab));
  const direct = { socket: lab.unixPreauth };
  await t.test('rows, failures, pipelining', () => withSession(direct, (session) => askMany(session, lab)));
  await t.test('long values, and texts both ways', () =>
    withSession(direct, (session) => carryTexts(session)),
  );
  await t.test('names of columns, and what a failure means', () => meetFailures(direct));
  await t.test('a cancel in the middle', () => cancel(direct));
  await t.test('through the daemon', (sub) => throughDaemon(sub, lab));
});

async function withSession(options: ConnectOptions, use: (session: Session) => Promise<void>): Promise<void> {
  await using session = await connect(options);
  await use(session);
}

async function connectEveryWay(lab: Lab): Promise<void> {
  const ca = readFileSync(lab.caFile, 'utf8');
  const tcp = { host: 'localhost', ca, password: backendPassword } as const;
  const ways: ConnectOptions[] = [
    { socket: lab.unixPreauth },
    { socket: lab.unixAuth, password: backendPassword },
    { ...tcp, port: lab.port },
    { ...tcp, port: lab.tlsPort, tls: 'implicit' },
    { ...tcp, port: lab.port, tls: 'off' },
  ];
  let before: unknown;
  for (const way of ways) {
    for (const minor of [0, 1, 2, 3, 4] as const) {
      await withSession({ ...way, minor }, async (session) => {
        const rows = await session.run(quota);
        before ??= rows;
        assert.deepEqual(rows, before);
        assert.equal(session.serverMinor === undefined, minor === 0);
      });
    }
  }
  const stranger = makeAuthority({ name: 'somebody else' }).certificatePem;
  for (const way of [{ port: lab.port }, { port: lab.tlsPort, tls: 'implicit' }] as const) {
    const rejects = (wrong: Partial<ConnectOptions>, code: string): Promise<void> =>
      assert.rejects(connect({ ...tcp, ...way, ...wrong }), { name: 'SessionFault', code });
    await rejects({ password: 'wrong' }, 'auth-rejected');
    await rejects({ ca: stranger }, 'tls-failed');
  }
}

async function askMany(session: Session, lab: Lab): Promise<void> {
  const boxes = session.run({ user: alice, name: 'mailbox list' });
  const status = session.run({ ...statusOf('INBOX'), columns: 2 });
  const [[first]] = await Promise.all([status, boxes, session.run(quota)]);
  assert.deepEqual(first, ['INBOX', '4']);
  assert.ok((await boxes).flat().includes('Ünïcode'));
  await assert.rejects(session.run({ ...quota, user: 'nobody@example.org' }), (fault) => {
    assert.ok(fault instanceof CommandFailed);
    assert.equal(fault.code, 'NOUSER');
    assert.ok(fault.logs.some(({ type }) => type === 'error'));
    return true;
  });
  // After a failure a session with 2.3 is over; with 2.4 it goes on.
  const more = session.run(quota);
  if (lab.series === '2.4') assert.equal((await more).length, 2);
  else await assert.rejects(more, { code: 'closed' });
}

async function carryTexts(session: Session): Promise<void> {
  const lines = ['Subject: upload', '', '.dot', '..two', '.', 'ünïcode \t tab', 'x'.repeat(70)];
  const text = `${lines.join('\r\n')}\r\n${'line of many\r\n'.repeat(20_000)}end`;
  const pieces = (async function* () {
    for (let at = 0; at < text.length; at += 1_000) {
      await Promise.resolve();
      yield text.slice(at, at + 1_000);
    }
  })();
  await session.run({ user: alice, name: 'save', args: ['-m', 'Drafts'], input: pieces });
  const got: Buffer[] = [];
  const fetch = ['--', 'text', 'mailbox', 'Drafts', 'subject', 'upload'];
  for await (const { bytes } of session.cells({ user: alice, name: 'fetch', args: fetch })) got.push(bytes);
  assert.equal(Buffer.concat(got).toString(), text.replaceAll('\r\n', '\n'));

  const script = 'require ["fileinto"];\r\nfileinto "Archive";\r\n';
  const put = { user: alice, name: 'sieve put' };
  await session.run({ ...put, args: ['--', 'uploaded'], input: script });
  const stored = await session.run({ user: alice, name: 'sieve get', args: ['--', 'uploaded'] });
  assert.deepEqual(stored, [[script]]);
  const broken = session.run({ ...put, args: ['--', 'broken'], input: 'nonsense' });
  await assert.rejects(broken, { name: 'CommandFailed', code: 'DATAERR' });
}

/** A session for each: with 2.3 a failure ends it. */
async function meetFailures(options: ConnectOptions): Promise<void> {
  await withSession(options, async (session) => {
    const [first] = await session.named({ user: alice, name: 'quota get' });
    assert.deepEqual(Object.keys(first ?? {}), ['root', 'type', 'value', 'limit', 'percent']);
    const counts = await session.named(statusOf('INBOX'));
    assert.deepEqual(counts, [{ mailbox: 'INBOX', messages: '4' }]);
  });
  const failures: readonly (readonly [kind: string, name: string, mailbox: string])[] = [
    ['exists', 'mailbox create', 'Archive'],
    ['not-found', 'mailbox delete', 'Nope'],
    ['invalid', 'mailbox delete', 'INBOX'],
    ['usage', 'mailbox create', '../x'],
  ];
  for (const [kind, name, mailbox] of failures)
    await withSession(options, (session) => {
      const failing = session.run({ user: alice, name, args: ['--', mailbox] });
      return assert.rejects(failing, { name: 'CommandFailed', kind });
    });
}

async function cancel(options: ConnectOptions): Promise<void> {
  await using session = await connect(options);
  const controller = new AbortController();
  let bytes = 0;
  const all = async (): Promise<void> => {
    for await (const piece of session.cells({ ...big, signal: controller.signal })) {
      bytes += piece.bytes.length;
      controller.abort(new Error('enough'));
    }
  };
  await assert.rejects(all(), /enough/);
  assert.ok(bytes < 1_000_000);
  await assert.rejects(session.run(quota), { code: 'closed' });
}

async function throughDaemon(t: TestContext, lab: Lab): Promise<void> {
  const gateway = await openRealGateway(t, lab, { allow: ['save'] });
  const options = { socket: gateway.daemon.path('support.sock') };
  const denied = { user: alice, name: 'mailbox delete', args: ['INBOX'] };
  for (const minor of [0, 1, 2, 3, 4] as const) {
    await withSession({ ...options, minor }, async (session) => {
      assert.equal((await session.run(quota)).length, 2);
      await assert.rejects(session.run(denied), { name: 'CommandFailed', code: 'NOPERM' });
    });
  }
  await withSession(options, async (session) => {
    const fault: unknown = await session
      .run({ ...denied, reason: 'ticket 1' })
      .catch((each: unknown) => each);
    assert.ok(fault instanceof CommandFailed);
    assert.match(fault.logs.map(({ text }) => text).join('\n'), /denied by policy support/);
    let bytes = 0;
    for await (const piece of session.cells(big)) bytes += piece.bytes.length;
    assert.ok(bytes > 5 * 1024 * 1024);
    const count = { ...statusOf('Archive'), columns: 2 };
    const [[, before = '0'] = []] = await session.run(count);
    const text = `Subject: x\n\n${'.line\n'.repeat(50_000)}`;
    await session.run({ user: alice, name: 'save', args: ['-m', 'Archive'], input: [text, text] });
    assert.deepEqual(await session.run(count), [['Archive', String(Number(before) + 1)]]);
  });
  assert.ok((await gateway.finish()).some(({ reason }) => reason === 'ticket 1'));
}
