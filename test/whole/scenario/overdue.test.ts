// Goal: a change that a backend does not answer in time is known to its end, whatever happens to its client and to the daemon. Phases: the
// client reads that it may still run; status lists it; the same command is refused to others, also over HTTP; its reply comes; another
// one is ended by an operator; the daemon is killed while a third one runs. What must not happen: the same change twice at the backend at
// once; a record that says more than was known.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startDaemon } from '../../kit/gate/daemon.js';
import { auditRecords, openGateway, recordsOf } from '../../kit/gate/gateway.js';
import { createGate } from '../../kit/gate/script.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { askRaw, encodePost } from '../../kit/plain/raw-http.js';
import { until } from '../../kit/plain/until.js';

const policies = `
    users: ["*@example.org"]
    allow: [quota get, { command: mailbox create, deadline: 300ms }]`;

test('an overdue change, from the deadline to its end', async (t) => {
  const sign = await runWarm(['audit', 'keygen']);
  let gate = createGate();
  t.after(() => gate.open());
  const { daemon, backend, client } = await openGateway(t, {
    listeners: `
  support: { unix: support.sock, mode: "0600", policy: support }
  panel: { unix: panel.sock, protocol: http, mode: "0600", policy: panel }`,
    policy: `${policies}\n  panel:${policies}`,
    more: 'admin: { unix: admin.sock }',
    audit:
      '{ directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB, sign_key: sign.pem }',
    files: { 'sign.pem': sign.stdout.toString() },
    backend: {
      script: async ({ fields }, connection) => {
        if (fields[0] === 'mailbox create') await gate.opened;
        await connection.status('+');
      },
    },
  });
  const dovegate = (...args: string[]) =>
    runWarm([...args, '--config', daemon.configFile], { cwd: daemon.folder });
  const create = (name: string) => ({ user: 'alice@example.org', fields: ['mailbox create', name] });
  const creations = (): number => backend.commands.filter(({ fields }) => fields[0] !== 'quota get').length;
  const isEnded = (id: string) => (): boolean =>
    recordsOf(daemon, 'completion').some((record) => record['id'] === id);
  const one = await client();
  /** The id of the exchange that its client read. */
  const ask = async (name: string, code: string, about = /, id (01\w{24})$/): Promise<string> => {
    const reply = await one.ask(create(name));
    assert.equal(reply.status, '-TEMPFAIL');
    const text = reply.logs.at(-1)?.text ?? '';
    assert.ok(text.includes(`[${code}]`), text);
    return about.exec(text)?.[1] ?? assert.fail(text);
  };

  const first = await ask('New', 'reply-timeout');
  const { exchanges } = JSON.parse((await dovegate('status', '--json')).text);
  assert.deepEqual(
    exchanges.map((each: Record<string, unknown>) => [each['id'], each['overdue'], each['backend']]),
    [[first, true, 'mail1']],
  );
  assert.match(
    (await dovegate('status')).text,
    new RegExp(`^${first} .* mailbox create +mail1 +overdue `, 'm'),
  );
  assert.equal(await ask('New', 'still-running', /\(id (01\w{24})\)/), first);
  const request = ['mailboxCreate', { user: 'alice@example.org', mailbox: ['New'] }, 'tag'];
  const { body } = await askRaw(
    { path: daemon.path('panel.sock') },
    encodePost({ body: JSON.stringify([request]) }),
  );
  const [[kind, failure]] = JSON.parse(body.toString());
  assert.deepEqual(
    [kind, failure.type, failure.exitCode, failure.code],
    ['error', 'exitCode', 75, 'still-running'],
  );
  assert.match(failure.message, new RegExp(first));
  assert.equal((await one.ask({ user: 'alice@example.org', fields: ['quota get'] })).status, '+');
  assert.equal(creations(), 1);

  gate.open();
  gate = createGate();
  await until(isEnded(first), 'the record of its end');
  const ended = recordsOf(daemon, 'completion').find(({ id }) => id === first);
  assert.deepEqual(
    [ended?.['outcome'], ended?.['error'], ended?.['status'], ended?.['text']],
    ['ok', 'reply-timeout', '-TEMPFAIL', 'answered after the deadline: +'],
  );

  const second = await ask('New', 'reply-timeout');
  const killed = await dovegate('kill', second);
  assert.equal(killed.exit, 0, killed.text);
  await until(isEnded(second), 'the record of its end');
  assert.equal((await dovegate('kill', second)).exit, 1);
  await backend.waitFor(({ records }) => records.filter(({ isOpen }) => isOpen).length <= 1, 'the close');

  const third = await ask('New', 'reply-timeout');
  // It is no admission: the answer does not wait for it.
  const isRemark = ({ event, id }: Readonly<Record<string, unknown>>): boolean =>
    event === 'log' && id === third;
  await until(() => auditRecords(daemon).some(isRemark), 'what the client got is recorded');
  await daemon.kill();
  const again = await startDaemon(t, { folder: daemon.folder });
  await again.stop();
  const outcomes = recordsOf(again, 'completion').flatMap(({ id, outcome, error }) =>
    id === second || id === third ? [[id, outcome, error]] : [],
  );
  assert.deepEqual(outcomes, [
    [second, 'unknown', 'killed'],
    [third, 'unknown', 'stopped'],
  ]);
  const remarks = auditRecords(again).filter(isRemark);
  assert.match(String(remarks[0]?.['text']), /the client got -TEMPFAIL; the command may still run/);
  assert.equal(creations(), 3);
  const verified = await runWarm(['audit', 'verify', again.path('audit'), '--key', again.path('sign.pem')]);
  assert.equal(verified.exit, 0, verified.text);
});

test('a stop of the daemon does not wait for an overdue change, and records that its outcome is unknown', async (t) => {
  const gate = createGate();
  t.after(() => gate.open());
  const { daemon, client } = await openGateway(t, {
    policy: policies,
    more: 'limits: { drain: 10m }',
    backend: {
      script: async (_command, connection) => {
        await gate.opened;
        await connection.status('+');
      },
    },
  });
  const one = await client();
  const reply = await one.ask({ user: 'alice@example.org', fields: ['mailbox create', 'New'] });
  assert.equal(reply.status, '-TEMPFAIL');
  one.close();
  assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
  assert.deepEqual(
    recordsOf(daemon, 'completion').map(({ outcome, error, sent }) => [outcome, error, sent]),
    [['unknown', 'draining', true]],
  );
});
