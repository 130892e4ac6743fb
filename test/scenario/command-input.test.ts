// Goal: a text goes up to its backend once, whole, and as a text; whatever goes wrong on the way, no line of it is run, the client is told
// the truth and the record says it. Phases: good uploads, slow ones, backends that answer early, die or do not read, clients that leave
// or stall, limits, a stop. What must not happen: a line of a text among a backend's commands; a dot that the client did not send; an
// upstream that serves another command after a text; an upstream that is held by a client that has hardly begun.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Daemon } from '../kit/daemon.js';
import type { Owner } from '../kit/folder.js';
import { auditRecords, type Gateway, type GatewayOptions, openGateway } from '../kit/gateway.js';
import type { RawClient } from '../kit/raw-client.js';
import { cannedScript, createGate, type Script } from '../kit/script.js';

const policy = `
    users: ["*@example.org"]
    allow: [quota get, mailbox list, save, { command: save, where: { file: any } }, sieve put]`;
const usual = cannedScript();
const alice = 'alice@example.org';
/** Lines that would be commands, in every way that a text can begin. */
const trap = `\t${alice}\tmailbox list\tZanzibar*\nv\t${alice}\tmailbox list\tZanzibar*\r\n.\t${alice}\tmailbox list\tZanzibar*\n..\n\n\t${alice}\tmailbox list\tZanzibar*\n`;
/** So long that an upstream is asked for before its end is here. */
const long = trap.repeat(8_000);

/** More than the kernels on the way take from a sender whose receiver does not read. */
const endless = Buffer.alloc(24 * 1024 * 1024, 'x'.repeat(99).concat('\n'));

/** Answers `save` by `onSave`, everything else as usual. */
function saving(onSave: Script): Script {
  return (command, connection) => (command.fields[0] === 'save' ? onSave : usual)(command, connection);
}

function open(owner: Owner, options: GatewayOptions = {}, onSave?: Script): Promise<Gateway> {
  const backend = { ...(onSave !== undefined && { script: saving(onSave) }), ...options.backend };
  return openGateway(owner, { policy, ...options, backend });
}

const save = (client: RawClient, args: readonly string[] = []): void =>
  client.sendCommand({ user: alice, fields: ['save', ...args] });

/** A piece of a text as it is; rejects never, because the session may end first. */
async function send(client: RawClient, text: string): Promise<void> {
  await client.write(text.replace(/^\./gm, '..')).catch(() => undefined);
}

function completions(daemon: Daemon): Readonly<Record<string, unknown>>[] {
  return auditRecords(daemon).filter((record) => record['event'] === 'completion');
}

/** Outcome, error, whether a byte was sent, of each exchange. */
async function outcomes(daemon: Daemon): Promise<unknown[]> {
  await daemon.stop();
  return completions(daemon).map(({ outcome, error, sent }) => [outcome, error, sent]);
}

/** Only these commands came, each once, and no command came behind a text on its connection. */
function assertOnly({ backend }: Gateway, names: readonly string[]): void {
  assert.deepEqual(
    backend.commands.map(({ fields }) => fields[0]),
    names,
  );
  for (const { number } of backend.records) {
    const here = backend.commands.filter(({ connection }) => connection === number);
    const at = here.findIndex(({ fields }) => fields[0] === 'save' || fields[0] === 'sieve put');
    assert.ok(at < 0 || at === here.length - 1, 'a command came behind a text');
  }
}

test('texts of every kind arrive as they are; the record has bytes and HMAC', async (t) => {
  const gateway = await open(t);
  const { client, backend, daemon } = gateway;
  const one = await client();
  const texts = ['', 'x', 'Subject: x\n\nhello\n', trap, '.\n..\n.', 'a\rb\n\n', long];
  for (const text of texts) {
    save(one);
    await send(one, text);
    await one.write('\n.\n');
    assert.equal((await one.readReply()).status, '+');
  }
  one.sendCommand({ user: alice, fields: ['quota get'] });
  assert.equal((await one.readReply()).status, '+');
  assertOnly(gateway, [...texts.map(() => 'save'), 'quota get']);
  assert.deepEqual(
    backend.records.flatMap(({ inputs }) => inputs.map(String)),
    // The scripted server reads lines: a CR before an LF is part of the line's end to it.
    texts.map((text) => text.replaceAll('\r\n', '\n')),
  );
  await daemon.stop();
  const directory = daemon.path('audit');
  const keyFile = readdirSync(directory).find((name) => name.includes('hmac'));
  assert.ok(keyFile !== undefined);
  const key = readFileSync(join(directory, keyFile), 'utf8').trim();
  assert.deepEqual(
    completions(daemon)
      .slice(0, -1)
      .map((record) => record['input']),
    texts.map((text) => ({
      bytes: Buffer.byteLength(text),
      hmac: createHmac('sha256', key).update(text).digest('hex'),
    })),
  );
  assert.deepEqual(daemon.grepSecrets(['Zanzibar']), [], 'what a text says is written nowhere');
});

test('an upload that has hardly begun holds no upstream; one of a MiB goes up before its end', async (t) => {
  const gateway = await open(t, { mail1: { connections: '1' } });
  const { client, backend } = gateway;
  const slow = await client();
  save(slow);
  await send(slow, 'Subject: slow\n\n');
  const other = await client();
  for (let n = 0; n < 3; n += 1) {
    other.sendCommand({ user: alice, fields: ['quota get'] });
    assert.equal((await other.readReply()).status, '+');
  }
  assertOnly(gateway, ['quota get', 'quota get', 'quota get']);
  await send(slow, long);
  await backend.waitFor(({ commands }) => commands.length === 4, 'the save before its end');
  assert.deepEqual(backend.records.at(-1)?.inputs, []);
  await slow.write('.\n');
  assert.equal((await slow.readReply()).status, '+');
  assert.equal(backend.records.flatMap(({ inputs }) => inputs).length, 1);
});

for (const [answer, status, outcome] of [
  ['-USAGE', '-USAGE', 'failed'],
  ['-', '-UNKNOWN', 'failed'],
  ['-TEMPFAIL', '-TEMPFAIL', 'failed'],
  ['+', '-TEMPFAIL', 'unknown'],
] as const) {
  test(`a backend that answers ${answer} before the text is there: closed at once, told behind the dot`, async (t) => {
    const gateway = await open(t, {}, async (_command, connection) => {
      await connection.status(answer);
      while ((await connection.readSome()) !== null);
    });
    const { client, backend, daemon } = gateway;
    const one = await client();
    save(one);
    await send(one, long);
    await backend.waitFor(({ records }) => records[0]?.isOpen === false, 'the upstream closed');
    await one.write(`.\n\t${alice}\tquota get\n`);
    assert.equal((await one.readReply()).status, status);
    assert.equal((await one.readReply()).cells.length, 10);
    assertOnly(gateway, ['save', 'quota get']);
    assert.deepEqual((await outcomes(daemon))[0], [outcome, 'early-answer', true]);
  });
}

test('a backend that takes the text for commands, as Dovecot does it: nothing of it is run', async (t) => {
  const gateway = await open(t, {}, (_command, connection) => connection.status('-USAGE'));
  const { client } = gateway;
  const one = await client();
  const texts = [trap, `\t${alice}\tquota get\n`, `\n${trap}`, `\r\n${trap}`, `D\t${alice}\tquota get`, long];
  for (const text of texts) {
    save(one);
    await send(one, text);
    await one.write(`${text.endsWith('\n') ? '' : '\n'}.\n`);
    // The answer, or the end that the backend makes at the first line of a text: both say that it failed.
    assert.match((await one.readReply()).status, /^-(?:USAGE|TEMPFAIL)$/);
  }
  assertOnly(
    gateway,
    texts.map(() => 'save'),
  );
});

for (const how of ['reset', 'end'] as const) {
  test(`a backend that goes away within a text (${how}): not done, and it is not sent again`, async (t) => {
    const gateway = await open(t, {}, async (_command, connection) => {
      await connection.readSome();
      connection[how]();
    });
    const { client, daemon } = gateway;
    const one = await client();
    save(one);
    await send(one, long);
    await one.write(`.\n\t${alice}\tquota get\n`);
    assert.equal((await one.readReply()).status, '-TEMPFAIL');
    assert.equal((await one.readReply()).status, '+');
    assertOnly(gateway, ['save', 'quota get']);
    assert.deepEqual((await outcomes(daemon))[0], ['failed', 'closed-early', true]);
  });
}

test('a backend that dies behind the dot: unknown, and it is not sent again', async (t) => {
  const gateway = await open(t, {}, async (_command, connection) => {
    await connection.readInput();
    connection.reset();
  });
  const { client, daemon } = gateway;
  const one = await client();
  save(one);
  await one.write('Subject: x\n\n.\n');
  assert.equal((await one.readReply()).status, '-TEMPFAIL');
  assertOnly(gateway, ['save']);
  assert.deepEqual((await outcomes(daemon))[0], ['unknown', 'closed-early', true]);
});

for (const leave of ['halfClose', 'close', 'reset'] as const) {
  for (const [name, text] of [
    ['short', trap],
    ['long', long],
  ] as const) {
    test(`a client that leaves within a ${name} text (${leave}): the backend gets no dot`, async (t) => {
      const gateway = await open(t);
      const { client, backend, daemon } = gateway;
      const one = await client();
      save(one);
      await send(one, text);
      if (name === 'long') await backend.waitFor(({ commands }) => commands.length === 1, 'the save');
      // What looks like an end, and is none.
      await one.write('last\r\n.\r').catch(() => undefined);
      one[leave]();
      if (leave === 'halfClose') assert.equal((await one.readReply()).status, '-TEMPFAIL');
      await one.closed;
      await backend.waitFor(({ records }) => records.every(({ isOpen }) => !isOpen), 'the upstream closed');
      assert.deepEqual(
        backend.records.flatMap(({ inputs }) => inputs),
        [],
      );
      assertOnly(gateway, name === 'long' ? ['save'] : []);
      const error = leave === 'halfClose' ? 'input-cut' : 'any';
      const [done] = await outcomes(daemon);
      assert.ok(Array.isArray(done));
      assert.deepEqual([done[0], done[2]], ['aborted', name === 'long']);
      if (error !== 'any') assert.equal(done[1], error);
    });
  }
}

test('a client that stops, and a backend that does not read: the time of a text is over', async (t) => {
  const gate = createGate();
  const gateway = await open(t, { more: 'limits: { input_time: 1500ms }' }, async (_command, connection) => {
    connection.setStopped(true);
    await gate.opened;
    connection.setStopped(false);
    while ((await connection.readSome()) !== null);
  });
  const { client, backend, daemon } = gateway;
  const slow = await client();
  save(slow);
  await send(slow, 'Subject: x\n');
  const late = await slow.readReply();
  assert.equal(late.status, '-TEMPFAIL');
  assert.match(JSON.stringify(late.logs), /limits\.input_time/);
  assert.equal((await slow.readEnd()).body.length, 0);
  assert.equal(backend.records.length, 0);
  const held = await client();
  save(held);
  held.write(endless).catch(() => undefined);
  assert.equal((await held.readReply()).status, '-TEMPFAIL');
  gate.open();
  await backend.waitFor(({ records }) => records.every(({ isOpen }) => !isOpen), 'the upstream closed');
  assertOnly(gateway, ['save']);
  assert.deepEqual(await outcomes(daemon), [
    ['timeout', 'input-late', false],
    ['timeout', 'input-late', true],
  ]);
});

test('a text above limits.input is given up, with an end of the session', async (t) => {
  const gateway = await open(t, { more: 'limits: { input: 2MiB }' });
  const { client, backend, daemon } = gateway;
  const one = await client();
  save(one);
  void send(one, 'x'.repeat(3 * 1024 * 1024));
  assert.equal((await one.readReply()).status, '-DATAERR');
  assert.equal((await one.readEnd()).body.length, 0);
  await backend.waitFor(({ records }) => records.every(({ isOpen }) => !isOpen), 'the upstream closed');
  assert.deepEqual(backend.records[0]?.inputs, []);
  assert.deepEqual(await outcomes(daemon), [['limited', 'input-too-long', true]]);
});

test('no backend: the text is read to its end, and the session goes on', async (t) => {
  const gateway = await open(t, { mail1: { address: '127.0.0.1:1' } });
  const { client, daemon } = gateway;
  const one = await client();
  save(one);
  await send(one, trap);
  await one.write(`.\n\t${alice}\tsave\t--bogus\n${trap}.\n`);
  assert.equal((await one.readReply()).status, '-TEMPFAIL');
  assert.equal((await one.readReply()).status, '-USAGE');
  assert.equal((await one.readEnd()).body.length, 0);
  assert.deepEqual(await outcomes(daemon), [
    ['failed', 'dial-refused', false],
    ['unparsable', 'unknown-option', false],
  ]);
});

test("a save that names a file of the server has no text: what follows is nobody's command", async (t) => {
  const gateway = await open(t, {}, (_command, connection) => connection.status('+'));
  const one = await gateway.client();
  save(one, ['/var/spool/text']);
  await one.write(`${trap}.\n`);
  assert.equal((await one.readReply()).status, '+');
  assert.equal((await one.readEnd()).body.length, 0);
  assertOnly(gateway, ['save']);
});

test('inputs above limits.buffered wait; what was begun comes to its end', async (t) => {
  const gateway = await open(t, { more: 'limits: { buffered: 64KiB }' });
  const { client, backend } = gateway;
  const first = await client();
  save(first);
  // Nothing more may be held: this goes for an upstream although it has no MiB.
  await send(first, 'x'.repeat(100_000));
  await backend.waitFor(({ commands }) => commands.length === 1, 'the first save');
  const second = await client();
  save(second);
  await second.write('Subject: second\n\n.\n');
  assert.equal((await second.readReply()).status, '+');
  await first.write('\n.\n');
  assert.equal((await first.readReply()).status, '+');
  assert.equal(backend.records.flatMap(({ inputs }) => inputs).length, 2);
});

const dsync = `
    users: ["*@example.org"]
    allow: [quota get, { command: dsync-server, where: { replicator-notify: any } }]`;

test('dsync-server, where a rule grants it: bytes both ways, an upstream of its own, and the end of the session', async (t) => {
  const gateway = await openGateway(t, {
    policy: dsync,
    backend: {
      script: async (command, connection) => {
        if (command.fields[0] !== 'dsync-server') return usual(command, connection);
        if (command.user.startsWith('nouser')) return connection.status('-NOUSER');
        await connection.status('+');
        for (let chunk = await connection.readSome(); chunk !== null; chunk = await connection.readSome()) {
          // Without LF: the client of the test takes an LF for the end of rows.
          await connection.body(chunk.toString().replaceAll('\n', '|'));
        }
        connection.end();
      },
    },
  });
  const { client, backend, daemon } = gateway;
  const before = await client();
  before.sendCommand({ user: alice, fields: ['quota get'] });
  assert.equal((await before.readReply()).status, '+');
  const one = await client();
  one.sendCommand({ user: alice, fields: ['dsync-server', '-u', alice] });
  assert.equal((await one.readReply()).status, '+');
  const text = `VERSION\tdsync\t3\t5\n${trap}.\n`;
  await one.write(text);
  one.halfClose();
  assert.equal((await one.readEnd()).body.toString(), text.replaceAll('\n', '|'));
  const refused = await client();
  refused.sendCommand({ user: 'nouser@example.org', fields: ['dsync-server'] });
  await refused.write(text);
  assert.equal((await refused.readReply()).status, '-NOUSER');
  assert.equal((await refused.readEnd()).body.length, 0);
  before.sendCommand({ user: alice, fields: ['quota get'] });
  assert.equal((await before.readReply()).status, '+');
  const seen = backend.commands.map(({ fields, connection }) => `${fields[0] ?? ''} ${connection}`);
  assert.equal(seen.length, 4, seen.join(', '));
  assert.equal(new Set(seen.filter((command) => command.startsWith('dsync'))).size, 2);
  await daemon.stop();
  const done = completions(daemon).filter(({ command }) => command === 'dsync-server');
  assert.deepEqual(
    done.map(({ outcome, input }) => [outcome, input]),
    [
      ['ok', { bytes: text.length }],
      ['failed', { bytes: 0 }],
    ],
  );
});

test('a stop within a text: told, not done, and the daemon ends in order', async (t) => {
  const gateway = await open(t, { more: 'limits: { drain: 300ms }' });
  const { client, backend, daemon } = gateway;
  const [short, longer] = [await client(), await client()];
  save(short);
  await send(short, trap);
  save(longer);
  await send(longer, long);
  await backend.waitFor(({ commands }) => commands.length === 1, 'the save');
  daemon.signal('SIGTERM');
  for (const one of [short, longer]) assert.equal((await one.readReply()).status, '-TEMPFAIL');
  assert.deepEqual(await daemon.exited, { code: 0, signal: null });
  assert.deepEqual(
    backend.records.flatMap(({ inputs }) => inputs),
    [],
  );
  for (const { outcome, error } of completions(daemon)) {
    assert.deepEqual([outcome, error], ['failed', 'draining']);
  }
  assert.equal(completions(daemon).length, 2);
});
