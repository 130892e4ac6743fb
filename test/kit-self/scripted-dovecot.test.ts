// The scripted Dovecot against bytes captured from real ones (2.3.13, 2.3.19.1, 2.4.5), its fault modes one by one, and what it records.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeAuthority } from '../kit/certificates.js';
import { openRawClient, type RawClient, type RawClientOptions } from '../kit/raw-client.js';
import { cannedScript, createGate, type GreetingFault, type Script } from '../kit/script.js';
import {
  openScriptedDovecot,
  type ScriptedDovecot,
  type ScriptedDovecotOptions,
} from '../kit/scripted-dovecot.js';

const authority = makeAuthority({ name: 'Scripted Authority' });
const certificate = authority.issue({ names: ['localhost', '127.0.0.1'] });
const hello = (minor: number): string => `VERSION\tdoveadm-server\t1\t${minor}\n`;
const version = (minor: number): string => `VERSION\tdoveadm-client\t1\t${minor}\n`;
const plainOfSecret = 'PLAIN\tAGRvdmVhZG0Ac2VjcmV0\n';

async function openDovecot(t: TestContext, options: ScriptedDovecotOptions = {}): Promise<ScriptedDovecot> {
  const dovecot = await openScriptedDovecot(options);
  t.after(() => dovecot.close());
  return dovecot;
}

async function openClient(
  t: TestContext,
  dovecot: ScriptedDovecot,
  options: RawClientOptions,
): Promise<RawClient> {
  const client = await openRawClient({ port: dovecot.port, ca: authority.certificatePem, ...options });
  t.after(() => client.close());
  return client;
}

/** What a real server answered to these bytes, as latin1; `end`: the server ended the connection behind it. */
interface Transcript {
  name: string;
  options: ScriptedDovecotOptions;
  steps: readonly (readonly [client: string, server: string])[];
  end?: true;
}

const quotaPackets =
  '\0\0\0\0\x1eUser quota\tSTORAGE\t72\t10240\t0\t\0\0\0\0\x19User quota\tMESSAGE\t4\t-\t0\t\0\0\0\0\x03\n+\n';
/** 2.3.13 sends a table in one packet, and log lines without a prefix. */
const script2313: Script = async (command, connection) => {
  if (command.user === 'alice@example.org') {
    await connection.body('Ünïcode\tDrafts\tArchive\tINBOX\t');
    await connection.status('+');
  } else {
    await connection.log('error', "User doesn't exist");
    await connection.status('-NOUSER');
  }
};
const transcripts: Transcript[] = [
  {
    name: 'quota get at minor 1, 2.3.19.1',
    options: { authenticate: false },
    steps: [
      [hello(1), `${version(2)}+\n`],
      ['\talice@example.org\tquota get\n', quotaPackets],
    ],
  },
  {
    name: 'quota get at minor 0, 2.4.1',
    options: { authenticate: false, minor: 3 },
    steps: [
      [hello(0), '+\n'],
      [
        '\talice@example.org\tquota get\n',
        'User quota\tSTORAGE\t72\t10240\t0\tUser quota\tMESSAGE\t4\t-\t0\t\n+\n',
      ],
    ],
  },
  {
    name: 'two status lines after a failure, 2.3.13',
    options: { authenticate: false, secondStatus: true, script: script2313 },
    steps: [
      [hello(1), `${version(2)}+\n`],
      [
        '\tnouser@example.org\tquota get\n',
        "L\0\0\0\x14\x04User doesn't exist\n\0\0\0\0\x09\n-NOUSER\n\0\0\0\0\x03\n-\n",
      ],
      [
        '\talice@example.org\tmailbox list\n',
        '\0\0\0\0\x1f\xc3\x9cn\xc3\xafcode\tDrafts\tArchive\tINBOX\t\0\0\0\0\x03\n+\n',
      ],
    ],
  },
  {
    name: 'STREAM with both channels, 2.4.5',
    options: {
      authenticate: false,
      minor: 4,
      script: async (command, connection) => {
        if (command.user !== 'alice@example.org') {
          await connection.log('error', "doveadm(nouser@example.org): cmd quota get: User doesn't exist");
          await connection.status('-NOUSER');
        } else await cannedScript()(command, connection);
      },
    },
    steps: [
      [hello(4), `${version(4)}+\n`],
      [
        '\t\tOPTION\tlog-passthrough\n\tnouser@example.org\tquota get\n',
        "\xff\xff\xff\xff\xff\0\x02\x03\xfe\x03\xfe\0L\x04doveadm(nouser@example.org): cmd quota get: User doesn't exist\n\x03\xfe\0\0\n-NOUSER\n",
      ],
      [
        '\talice@example.org\tquota get\n',
        'User quota\tSTORAGE\t72\t10240\t0\tUser quota\tMESSAGE\t4\t-\t0\t\n+\n',
      ],
    ],
  },
  {
    name: 'VERSION, PLAIN and a command in one write, 2.3.19.1',
    options: {},
    steps: [
      [`${hello(1)}${plainOfSecret}\talice@example.org\tquota get\n`, `${version(2)}-\n+\n${quotaPackets}`],
    ],
  },
  {
    name: 'a command before PLAIN, 2.4.1',
    options: { minor: 3 },
    steps: [
      [hello(1), `${version(3)}-\n`],
      ['\talice@example.org\tquota get\n', '-\n'],
    ],
    end: true,
  },
  {
    name: 'wrong password, 2.4.1',
    options: { minor: 3 },
    steps: [
      [hello(1), `${version(3)}-\n`],
      ['PLAIN\tAGRvdmVhZG0Ad3Jvbmc=\n', '-\n'],
    ],
    end: true,
  },
  { name: 'major 2', options: {}, steps: [['VERSION\tdoveadm-server\t2\t0\n', '']], end: true },
  { name: 'wrong name', options: {}, steps: [['VERSION\tdoveadm-client\t1\t0\n', '']], end: true },
  {
    name: 'clear text after STARTTLS is taken as TLS, 2.4.1',
    options: { tls: 'starttls', certificate },
    steps: [
      [hello(2), `${version(2)}-\n`],
      [`STARTTLS\n${plainOfSecret}`, ''],
    ],
    end: true,
  },
  {
    name: 'a line of two fields, 2.4.1',
    options: { authenticate: false },
    steps: [
      [hello(1), `${version(2)}+\n`],
      ['\talice@example.org\n', 'L\0\0\0\x34\x04doveadm: doveadm: doveadm client: No command given\n'],
    ],
    end: true,
  },
  {
    name: 'the flag x on a server of minor 2',
    options: { authenticate: false },
    steps: [
      [hello(0), '+\n'],
      ['x\tproxy-ttl=5\talice@example.org\tquota get\n', ''],
    ],
    end: true,
  },
  {
    name: 'save reads to the dot before it answers, 2.4.1',
    options: { authenticate: false },
    steps: [
      [hello(1), `${version(2)}+\n`],
      ['\tbob@example.org\tsave\t-m\tDrafts\nSubject: dots\r\n\r\n..x\r\n...\r\n', ''],
      ['.y\r\n..\r\nlast\r\n\r\n.\r\n', '\0\0\0\0\x03\n+\n'],
    ],
  },
];

for (const { name, options, steps, end } of transcripts) {
  void test(`as captured: ${name}`, async (t) => {
    const dovecot = await openDovecot(t, options);
    const socket = net.connect(dovecot.port, '127.0.0.1');
    t.after(() => socket.destroy());
    let seen = '';
    socket.on('data', (chunk: Buffer) => {
      seen += chunk.toString('latin1');
    });
    const ended = once(socket, 'end');
    let expected = '';
    for (const [client, server] of steps) {
      socket.write(Buffer.from(client, 'latin1'));
      expected += server;
      while (seen.length < expected.length) await once(socket, 'data');
      assert.equal(seen, expected);
    }
    if (end) {
      // Alert bytes of TLS may come before the end.
      if (seen.length > expected.length) assert.equal(options.tls, 'starttls');
      await ended;
    }
  });
}

void test('STARTTLS: a record of clear text, decrypted text, login, commands', async (t) => {
  const dovecot = await openDovecot(t, { tls: 'starttls', certificate, alpn: ['doveadm'] });
  const client = await openClient(t, dovecot, { minor: 2, tls: 'starttls', auth: { password: 'secret' } });
  client.sendCommand({ user: 'alice@example.org', fields: ['quota get', 'a\tb'] });
  const reply = await client.readReply();
  assert.deepEqual([reply.status, reply.cells.length], ['+', 10]);
  const [record] = dovecot.records;
  assert.ok(record);
  assert.equal(Buffer.concat(record.inClear).toString(), `${hello(2)}STARTTLS\n`);
  assert.equal(
    Buffer.concat(record.inTls).toString(),
    `${plainOfSecret}\talice@example.org\tquota get\ta\x01tb\n`,
  );
  assert.deepEqual(record.plain, [{ user: 'doveadm', password: 'secret', isAccepted: true }]);
  assert.equal(record.alpnProtocol, 'doveadm');
  assert.equal(dovecot.tlsHandshakes, 1);
  assert.deepEqual(dovecot.commands[0]?.fields, ['quota get', 'a\tb']);
});

void test('implicit TLS: login and a command', async (t) => {
  const dovecot = await openDovecot(t, { tls: 'implicit', certificate });
  const client = await openClient(t, dovecot, { minor: 1, tls: 'implicit', auth: { password: 'secret' } });
  client.send('\talice@example.org\tmailbox list');
  assert.deepEqual((await client.readReply()).cells, ['Ünïcode', 'Drafts', 'Archive', 'INBOX']);
});

void test('VERSION after the go-ahead, and none at all', async (t) => {
  const dovecot = await openDovecot(t, { authenticate: false, versionPlace: 'after' });
  const socket = net.connect(dovecot.port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.write(hello(2));
  const [bytes] = await once(socket, 'data');
  assert.equal(String(bytes), `+\n${version(2)}`);
  dovecot.change({ versionPlace: 'none' });
  const client = await openClient(t, dovecot, { minor: 2 });
  assert.equal(client.serverMinor, undefined);
  client.send('\talice@example.org\tmailbox list');
  assert.equal((await client.readReply()).status, '+');
});

void test('a UNIX socket is preauthenticated', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'kit-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const dovecot = await openDovecot(t, { unix: join(folder, 's') });
  assert.equal(dovecot.address, `unix:${join(folder, 's')}`);
  const client = await openClient(t, dovecot, { path: join(folder, 's'), minor: 3 });
  assert.equal(client.goAhead, '+');
});

void test('dot-input is recorded without its end', async (t) => {
  const dovecot = await openDovecot(t, { authenticate: false });
  const client = await openClient(t, dovecot, { minor: 2 });
  client.send('\tbob\tsave');
  await client.write('a\r\n..x\r\n.y\r\n\r\n.\r\n');
  assert.equal((await client.readReply()).status, '+');
  client.send('\tbob\tsave');
  client.send('.');
  assert.equal((await client.readReply()).status, '+');
  assert.deepEqual(dovecot.records[0]?.inputs.map(String), ['a\n.x\ny\n', '']);
});

void test('a reply of 64 MiB is written no faster than the client reads', async (t) => {
  const half = 32 * 1024 * 1024;
  let isWritten = false;
  const dovecot = await openDovecot(t, {
    authenticate: false,
    script: async (_, connection) => {
      await connection.bigCell(half);
      await connection.log('info', 'half of it');
      await connection.bigCell(half);
      isWritten = true;
      await connection.status('+');
    },
  });
  const client = await openClient(t, dovecot, { minor: 1 });
  client.send('\talice\tfetch');
  await client.readLogs();
  assert.equal(isWritten, false); // more is left than the kernel's buffers hold
  const reply = await client.readReply({ keepBody: false });
  assert.equal(reply.bodyBytes, 2 * (half + 1));
  assert.equal(reply.status, '+');
});

void test('a script waits at a gate, speaks while idle, half-replies and resets', async (t) => {
  const gate = createGate();
  const resetGate = createGate();
  const scripts: Script[] = [
    async (_, connection) => {
      await gate.opened;
      await connection.status('+');
    },
    async (_, connection) => {
      await connection.body('half\tcel');
      connection.end();
    },
    async (_, connection) => {
      await connection.body('half\tcel');
      await connection.log('info', 'about to reset');
      await resetGate.opened;
      connection.reset();
    },
    async (_, connection) => {
      await connection.closed; // hangs
    },
  ];
  const dovecot = await openDovecot(t, {
    authenticate: false,
    script: async (command, connection) => scripts[Number(command.fields[0])]?.(command, connection),
  });
  const open = (): Promise<RawClient> => openClient(t, dovecot, { minor: 2 });

  const waiting = await open();
  waiting.send('\talice\t0');
  await dovecot.waitFor(({ commands }) => commands.length === 1, 'the command');
  gate.open();
  assert.equal((await waiting.readReply()).status, '+');
  const [live] = dovecot.live;
  assert.ok(live);
  await live.log('warning', 'Killed with signal 15');
  assert.deepEqual(await waiting.readLogs(), [{ type: 'warning', text: 'Killed with signal 15' }]);
  live.end();
  assert.deepEqual(await waiting.readEnd(), { body: Buffer.alloc(0), logs: [], isBroken: false });

  const ended = await open();
  ended.send('\talice\t1');
  assert.deepEqual(await ended.readEnd(), { body: Buffer.from('half\tcel'), logs: [], isBroken: false });
  const broken = await open();
  broken.send('\talice\t2');
  // Node reports a reset as a plain end when it comes together with bytes: the bytes are read first.
  assert.equal((await broken.readLogs()).length, 1);
  resetGate.open();
  assert.equal((await broken.readEnd()).isBroken, true);

  const hanging = await open();
  hanging.send('\talice\t3');
  await dovecot.waitFor(({ commands }) => commands.length === 4, 'the command that hangs');
  hanging.reset();
  await dovecot.waitFor(({ records }) => records[3]?.isOpen === false, 'the reset');
});

void test('above the process limit a connection is accepted and mute until another ends', async (t) => {
  const dovecot = await openDovecot(t, { authenticate: false, processLimit: 1 });
  const first = await openClient(t, dovecot, { minor: 2 });
  const second = openClient(t, dovecot, { minor: 2 });
  await dovecot.waitFor(({ records }) => records.length === 2, 'the second connection');
  assert.equal(dovecot.records[1]?.clientMinor, undefined);
  first.close();
  assert.equal((await second).goAhead, '+');
});

void test('close() tells what a script threw', async () => {
  const dovecot = await openScriptedDovecot({
    authenticate: false,
    script: () => {
      throw new Error('wrong in the test');
    },
  });
  const client = await openRawClient({ port: dovecot.port, minor: 2 });
  client.send('\talice\tquota get');
  await client.readEnd();
  await assert.rejects(dovecot.close(), /wrong in the test/);
});

// What a patient client sees that speaks STARTTLS and PLAIN with the right password.
const greetingFaults: { fault: GreetingFault; sees: RegExp }[] = [
  { fault: 'silent-after-accept', sees: /no greeting within/ },
  { fault: 'closed-after-accept', sees: /ended in the greeting/ },
  { fault: 'reset-after-accept', sees: /ended in the greeting|ECONNRESET/ },
  { fault: 'closed-after-version', sees: /ended in the greeting/ },
  { fault: 'banner-ssh', sees: /greeting: SSH-2\.0/ },
  { fault: 'banner-http', sees: /greeting: HTTP/ },
  { fault: 'banner-imap', sees: /greeting: \* OK/ },
  { fault: 'major-2', sees: /greeting: VERSION\tdoveadm-client\t2\t2/ },
  { fault: 'greeting-endless', sees: /no greeting within/ },
  { fault: 'injected-same-segment', sees: /bytes in clear before TLS/ },
  { fault: 'injected-later-segment', sees: /bytes in clear before TLS|wrong version number|packet length/i },
  { fault: 'injected-after-starttls', sees: /wrong version number|packet length/i },
  { fault: 'silent-after-starttls', sees: /no TLS within/ },
  { fault: 'closed-after-starttls', sees: /ended in the TLS handshake|disconnected|ECONNRESET/ },
  { fault: 'plain-refused', sees: /PLAIN was answered with -/ },
  { fault: 'plain-unanswered', sees: /no answer to PLAIN within/ },
  { fault: 'closed-after-plain', sees: /PLAIN was answered with the end/ },
];

for (const { fault, sees } of greetingFaults) {
  void test(`greeting fault: ${fault}`, async (t) => {
    const dovecot = await openDovecot(t, { tls: 'starttls', certificate, fault });
    // The client is patient where there is something to see, and a slow machine has time for the steps before a silence.
    const patience = sees.source.endsWith('within') ? { timeoutMs: 1500 } : {};
    await assert.rejects(
      openClient(t, dovecot, { minor: 2, tls: 'starttls', auth: { password: 'secret' }, ...patience }),
      sees,
    );
    assert.equal(dovecot.commands.length, 0);
  });
}

void test('greeting fault: greeting-plus', async (t) => {
  const dovecot = await openDovecot(t, { tls: 'starttls', certificate, fault: 'greeting-plus' });
  const client = await openClient(t, dovecot, { minor: 2, tls: 'starttls' });
  assert.equal(client.goAhead, '+');
});

void test('reply faults', async (t) => {
  const dovecot = await openDovecot(t, { authenticate: false, fault: 'reply-two-statuses' });
  const ask = async (patience: { timeoutMs?: number } = {}): Promise<RawClient> => {
    const client = await openClient(t, dovecot, { minor: 2, ...patience });
    client.send('\talice\tquota get');
    return client;
  };
  const two = await ask();
  assert.deepEqual([(await two.readReply()).status, (await two.readReply()).body.length], ['+', 0]);

  dovecot.change({ fault: 'reply-bytes-after-status' });
  const more = await ask();
  assert.equal((await more.readReply()).status, '+');
  more.halfClose();
  assert.equal(String((await more.readEnd()).body), 'leftover\t');

  dovecot.change({ fault: 'reply-frame-4gib' });
  const huge = await ask({ timeoutMs: 1500 });
  await assert.rejects(huge.readReply({ keepBody: false }), /no reply within/);
  assert.ok(huge.received().includes(Buffer.from([0, 0xff, 0xff, 0xff, 0xff])));
  huge.reset();

  dovecot.change({ fault: 'reply-endless-status' });
  const endless = await ask({ timeoutMs: 1500 });
  await assert.rejects(endless.readReply(), /no reply within/);
  endless.reset();
  await dovecot.waitFor(
    ({ records }) => records.every(({ isOpen, number }) => !isOpen || number < 3),
    'the resets',
  );
});
