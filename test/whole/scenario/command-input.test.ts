// Goal: a text goes up to its backend once, whole, and as a text; whatever goes wrong on the way, no line of it is run, the client is told
// the truth and the record says it. Phases: good uploads, slow ones, backends that answer early, die or do not read, clients that leave
// or stall, limits, a stop. What must not happen: a line of a text among a backend's commands; a dot that the client did not send; an
// upstream that serves another command after a text; an upstream that is held by a client that has hardly begun.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Daemon } from '../../kit/gate/daemon.js';
import { type Gateway, type GatewayOptions, openGateway, recordsOf } from '../../kit/gate/gateway.js';
import { cannedScript, createGate, type Script, type SessionRecord } from '../../kit/gate/script.js';
import { fileOwner } from '../../kit/plain/file-owner.js';
import type { Owner } from '../../kit/plain/folder.js';
import type { RawClient } from '../../kit/plain/raw-client.js';
import { readAudit } from '../../kit/plain/traces.js';
import { until } from '../../kit/plain/until.js';

const policy = `
    users: ["*@example.org"]
    allow:
      - quota get
      - mailbox list
      - save
      - { command: save, where: { file: any } }
      - sieve put
      - { command: dsync-server, where: { replicator-notify: any } }`;
const usual = cannedScript();
const alice = 'alice@example.org';
/** Lines that would be commands, in every way that a text can begin. */
const trap = `\t${alice}\tmailbox list\tZanzibar*\nv\t${alice}\tmailbox list\tZanzibar*\r\n.\t${alice}\tmailbox list\tZanzibar*\n..\n\n\t${alice}\tmailbox list\tZanzibar*\n`;
/** A save that names it has no text. */
const serverFile = '/var/spool/text';
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

const save = (client: RawClient, args: readonly string[] = [], user = alice): void =>
  client.sendCommand({ user, fields: ['save', ...args] });

/** A piece of a text as it is; rejects never, because the session may end first. */
async function send(client: RawClient, text: string): Promise<void> {
  await client.write(text.replace(/^\./gm, '..')).catch(() => undefined);
}

function completions(daemon: Daemon): Readonly<Record<string, unknown>>[] {
  return recordsOf(daemon, 'completion');
}

/** Outcome, error, whether a byte was sent, of each exchange. */
async function outcomes(daemon: Daemon): Promise<unknown[]> {
  await daemon.stop();
  return completions(daemon).map(({ outcome, error, sent }) => [outcome, error, sent]);
}

/** Only these commands came, each once, and no command came behind a text on its connection. */
function assertOnly({ backend }: Pick<Gateway, 'backend'>, names: readonly string[], from = 0): void {
  assert.deepEqual(
    backend.commands.slice(from).map(({ fields }) => fields[0]),
    names,
  );
  for (const { number } of backend.records) {
    const here = backend.commands.filter(({ connection }) => connection === number);
    const at = here.findIndex(({ fields: [name, ...args] }) => name === 'save' && !args.includes(serverFile));
    assert.ok(at < 0 || at === here.length - 1, 'a command came behind a text');
  }
}

const owner = fileOwner();
const shared = open(owner, { more: 'limits: { input: 2MiB, drain: 300ms }' });
let scenes = 0;

/** A test's view of the shared daemon: only what happened since the test began. */
interface Scene {
  readonly one: RawClient;
  /** Only this test sends commands of this mail user. */
  readonly user: string;
  readonly daemon: Daemon;
  save(args?: readonly string[]): void;
  /** The connections that served a command. */
  records(): readonly SessionRecord[];
  waitFor(isTrue: (records: readonly SessionRecord[]) => boolean, what: string): Promise<void>;
  inputs(): string[];
  assertOnly(names: readonly string[]): void;
  /** So many completions. */
  completions(count: number): Promise<Readonly<Record<string, unknown>>[]>;
  /** Outcome, error, whether a byte was sent, of the first of so many exchanges. */
  outcome(count: number): Promise<unknown[]>;
}

async function begin(onSave: Script = usual): Promise<Scene> {
  const { backend, client, daemon } = await shared;
  backend.change({ script: saving(onSave) });
  const one = await client();
  assert.equal(
    (await one.ask({ user: alice, fields: ['quota get'] })).status,
    '+',
    'the backend is there, whatever the test before did',
  );
  const from = backend.commands.length;
  scenes += 1;
  const user = `u${scenes}@example.org`;
  const records = (): SessionRecord[] => {
    const numbers = new Set(backend.commands.slice(from).map(({ connection }) => connection));
    return backend.records.filter(({ number }) => numbers.has(number));
  };
  const done = () =>
    readAudit(daemon.path('audit'))
      .map(({ record }) => record)
      .filter((record) => record['event'] === 'completion' && record['user'] === user);
  const completed = async (count: number): Promise<Readonly<Record<string, unknown>>[]> => {
    await until(() => done().length >= count, `${count} completions`, 60_000);
    assert.equal(done().length, count);
    return done();
  };
  return {
    one,
    user,
    daemon,
    save: (args) => save(one, args, user),
    records,
    waitFor: (isTrue, what) => backend.waitFor(() => isTrue(records()), what),
    inputs: () => records().flatMap(({ inputs }) => inputs.map(String)),
    assertOnly: (names) => assertOnly({ backend }, names, from),
    completions: completed,
    async outcome(count) {
      const [first] = await completed(count);
      return [first?.['outcome'], first?.['error'], first?.['sent']];
    },
  };
}

const allClosed = (records: readonly SessionRecord[]): boolean => records.every(({ isOpen }) => !isOpen);

test('texts of every kind arrive as they are; the record has bytes and HMAC', async () => {
  const scene = await begin();
  const { one, user, daemon } = scene;
  const texts = ['', 'x', 'Subject: x\n\nhello\n', trap, '.\n..\n.', 'a\rb\n\n', long];
  for (const text of texts) {
    scene.save();
    await send(one, text);
    await one.write('\n.\n');
    assert.equal((await one.readReply()).status, '+');
  }
  assert.equal((await one.ask({ user, fields: ['quota get'] })).status, '+');
  scene.assertOnly([...texts.map(() => 'save'), 'quota get']);
  assert.deepEqual(
    scene.inputs(),
    // The scripted server reads lines: a CR before an LF is part of the line's end to it.
    texts.map((text) => text.replaceAll('\r\n', '\n')),
  );
  const done = await scene.completions(texts.length + 1);
  const directory = daemon.path('audit');
  const keyFile = readdirSync(directory).find((name) => name.includes('hmac'));
  assert.ok(keyFile !== undefined);
  const key = readFileSync(join(directory, keyFile), 'utf8').trim();
  assert.deepEqual(
    done.slice(0, -1).map((record) => record['input']),
    texts.map((text) => ({
      bytes: Buffer.byteLength(text),
      hmac: createHmac('sha256', key).update(text).digest('hex'),
    })),
  );
});

test('an upload that has hardly begun holds no upstream; one of a MiB goes up before its end', async (t) => {
  const gateway = await open(t, { mail1: { connections: '1' } });
  const { client, backend } = gateway;
  const slow = await client();
  save(slow);
  await send(slow, 'Subject: slow\n\n');
  const other = await client();
  for (let n = 0; n < 3; n += 1) {
    assert.equal((await other.ask({ user: alice, fields: ['quota get'] })).status, '+');
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
  test(`a backend that answers ${answer} before the text is there: closed at once, told behind the dot`, async () => {
    const scene = await begin(async (_command, connection) => {
      await connection.status(answer);
      while ((await connection.readSome()) !== null);
    });
    const { one, user } = scene;
    scene.save();
    await send(one, long);
    await scene.waitFor((records) => records[0]?.isOpen === false, 'the upstream closed');
    await one.write(`.\n\t${user}\tquota get\n`);
    assert.equal((await one.readReply()).status, status);
    assert.equal((await one.readReply()).cells.length, 10);
    scene.assertOnly(['save', 'quota get']);
    assert.deepEqual(await scene.outcome(2), [outcome, 'early-answer', true]);
  });
}

test('a backend that takes the text for commands, as Dovecot does it: nothing of it is run', async () => {
  const scene = await begin((_command, connection) => connection.status('-USAGE'));
  const { one } = scene;
  const texts = [trap, `\t${alice}\tquota get\n`, `\n${trap}`, `\r\n${trap}`, `D\t${alice}\tquota get`, long];
  for (const text of texts) {
    scene.save();
    await send(one, text);
    await one.write(`${text.endsWith('\n') ? '' : '\n'}.\n`);
    // The answer, or the end that the backend makes at the first line of a text: both say that it failed.
    assert.match((await one.readReply()).status, /^-(?:USAGE|TEMPFAIL)$/);
  }
  scene.assertOnly(texts.map(() => 'save'));
});

for (const how of ['reset', 'end'] as const) {
  test(`a backend that goes away within a text (${how}): not done, and it is not sent again`, async () => {
    const scene = await begin(async (_command, connection) => {
      await connection.readSome();
      connection[how]();
    });
    const { one, user } = scene;
    scene.save();
    await send(one, long);
    await one.write(`.\n\t${user}\tquota get\n`);
    assert.equal((await one.readReply()).status, '-TEMPFAIL');
    assert.equal((await one.readReply()).status, '+');
    scene.assertOnly(['save', 'quota get']);
    assert.deepEqual(await scene.outcome(2), ['failed', 'closed-early', true]);
  });
}

test('a backend that dies behind the dot: unknown, and it is not sent again', async () => {
  const scene = await begin(async (_command, connection) => {
    await connection.readInput();
    connection.reset();
  });
  const { one } = scene;
  scene.save();
  await one.write('Subject: x\n\n.\n');
  assert.equal((await one.readReply()).status, '-TEMPFAIL');
  scene.assertOnly(['save']);
  assert.deepEqual(await scene.outcome(1), ['unknown', 'closed-early', true]);
});

for (const leave of ['halfClose', 'close', 'reset'] as const) {
  for (const [name, text] of [
    ['short', trap],
    ['long', long],
  ] as const) {
    test(`a client that leaves within a ${name} text (${leave}): the backend gets no dot`, async () => {
      const scene = await begin();
      const { one } = scene;
      scene.save();
      await send(one, text);
      if (name === 'long') await scene.waitFor((records) => records.length === 1, 'the save');
      // What looks like an end, and is none.
      await one.write('last\r\n.\r').catch(() => undefined);
      one[leave]();
      if (leave === 'halfClose') assert.equal((await one.readReply()).status, '-TEMPFAIL');
      await one.closed;
      await scene.waitFor(allClosed, 'the upstream closed');
      assert.deepEqual(scene.inputs(), []);
      scene.assertOnly(name === 'long' ? ['save'] : []);
      const [outcome, error, sent] = await scene.outcome(1);
      assert.deepEqual([outcome, sent], ['aborted', name === 'long']);
      if (leave === 'halfClose') assert.equal(error, 'input-cut');
    });
  }
}

test('a client that stops, and a backend that does not read: the time of a text is over', async (t) => {
  const gate = createGate();
  const gateway = await open(t, { more: 'limits: { input_time: 3s }' }, async (_command, connection) => {
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

test('a text above limits.input is given up, with an end of the session', async () => {
  const scene = await begin();
  const { one } = scene;
  scene.save();
  // What is above the limit fits into the socket: a write that fails would end this client before it reads.
  void send(one, 'x'.repeat(2 * 1024 * 1024 + 64 * 1024));
  assert.equal((await one.readReply()).status, '-DATAERR');
  assert.equal((await one.readEnd()).body.length, 0);
  await scene.waitFor(allClosed, 'the upstream closed');
  assert.deepEqual(scene.inputs(), []);
  assert.deepEqual(await scene.outcome(1), ['limited', 'input-too-long', true]);
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

test("a save that names a file of the server has no text: what follows is nobody's command", async () => {
  const scene = await begin((_command, connection) => connection.status('+'));
  const { one } = scene;
  scene.save([serverFile]);
  await one.write(`${trap}.\n`);
  assert.equal((await one.readReply()).status, '+');
  assert.equal((await one.readEnd()).body.length, 0);
  scene.assertOnly(['save']);
});

// bounds.bufferedBytes
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

test('dsync-server, where a rule grants it: bytes both ways, an upstream of its own, and the end of the session', async () => {
  const { client, backend } = await shared;
  const scene = await begin();
  const { user, one: before } = scene;
  let asked = 0;
  backend.change({
    script: async (command, connection) => {
      if (command.fields[0] !== 'dsync-server') return usual(command, connection);
      asked += 1;
      if (asked === 2) return connection.status('-NOUSER');
      await connection.status('+');
      for (let chunk = await connection.readSome(); chunk !== null; chunk = await connection.readSome()) {
        // Without LF: the client of the test takes an LF for the end of rows.
        await connection.body(chunk.toString().replaceAll('\n', '|'));
      }
      connection.end();
    },
  });
  assert.equal((await before.ask({ user, fields: ['quota get'] })).status, '+');
  const one = await client();
  assert.equal((await one.ask({ user, fields: ['dsync-server', '-u', user] })).status, '+');
  const text = `VERSION\tdsync\t3\t5\n${trap}.\n`;
  await one.write(text);
  one.halfClose();
  assert.equal((await one.readEnd()).body.toString(), text.replaceAll('\n', '|'));
  const refused = await client();
  refused.sendCommand({ user, fields: ['dsync-server'] });
  await refused.write(text);
  assert.equal((await refused.readReply()).status, '-NOUSER');
  assert.equal((await refused.readEnd()).body.length, 0);
  assert.equal((await before.ask({ user, fields: ['quota get'] })).status, '+');
  scene.assertOnly(['quota get', 'dsync-server', 'dsync-server', 'quota get']);
  const seen = backend.commands.filter(({ fields }) => fields[0] === 'dsync-server');
  assert.equal(new Set(seen.map(({ connection }) => connection)).size, 2);
  const done = (await scene.completions(4)).filter(({ command }) => command === 'dsync-server');
  assert.deepEqual(
    done.map(({ outcome, input }) => [outcome, input]),
    [
      ['ok', { bytes: text.length }],
      ['failed', { bytes: 0 }],
    ],
  );
});

test('a stop within a text: told, not done, and the daemon ends in order; what texts say is written nowhere', async () => {
  const scene = await begin();
  const { one: short, daemon, user } = scene;
  const { client } = await shared;
  const longer = await client();
  scene.save();
  await send(short, trap);
  save(longer, [], user);
  await send(longer, long);
  await scene.waitFor((records) => records.length === 1, 'the save');
  daemon.signal('SIGTERM');
  for (const one of [short, longer]) assert.equal((await one.readReply()).status, '-TEMPFAIL');
  assert.deepEqual(await daemon.exited, { code: 0, signal: null });
  assert.deepEqual(scene.inputs(), []);
  for (const { outcome, error } of await scene.completions(2))
    assert.deepEqual([outcome, error], ['failed', 'draining']);
  assert.deepEqual(daemon.grepSecrets(['Zanzibar']), []);
});
