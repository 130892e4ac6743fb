// The scripted Dovecot against bytes captured from real ones (2.3.13, 2.3.19.1, 2.4.5), and what it records.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { makeAuthority } from '../gate/certificates.js';
import { cannedScript, type Script } from '../gate/script.js';
import { openScriptedDovecot, type ScriptedDovecotOptions } from '../gate/scripted-dovecot.js';
import { openRawClient } from '../plain/raw-client.js';

const authority = makeAuthority({ name: 'Scripted Authority' });
const certificate = authority.issue({ names: ['localhost', '127.0.0.1'] });
const hello = (minor: number): string => `VERSION\tdoveadm-server\t1\t${minor}\n`;
const version = (minor: number): string => `VERSION\tdoveadm-client\t1\t${minor}\n`;
const plainOfSecret = 'PLAIN\tAGRvdmVhZG0Ac2VjcmV0\n';

type Step = readonly [client: string, server: string];

/** What a real server answered to these bytes, as latin1; `end`: the server ended the connection behind it. */
interface Transcript {
  name: string;
  options: ScriptedDovecotOptions;
  steps: readonly Step[];
  end?: true;
}

/** A client of this minor is let in without a word more, or asked for PLAIN. */
const letIn = (minor: number, server = 2): Step => [
  hello(minor),
  minor < 1 ? '+\n' : `${version(server)}+\n`,
];
const asked = (minor: number, server = 2): Step => [hello(minor), `${version(server)}-\n`];
const open = { authenticate: false };
const quota = '\talice@example.org\tquota get\n';
const quotaRows = 'User quota\tSTORAGE\t72\t10240\t0\tUser quota\tMESSAGE\t4\t-\t0\t\n+\n';
const quotaPackets =
  '\0\0\0\0\x1eUser quota\tSTORAGE\t72\t10240\t0\t\0\0\0\0\x19User quota\tMESSAGE\t4\t-\t0\t\0\0\0\0\x03\n+\n';
const noUser = "doveadm(nouser@example.org): cmd quota get: User doesn't exist";

/** Another user than alice does not exist, with this log line. */
const aliceOnly =
  (logLine: string, answer: Script): Script =>
  async (command, connection) => {
    if (command.user === 'alice@example.org') return answer(command, connection);
    await connection.log('error', logLine);
    await connection.status('-NOUSER');
  };
/** 2.3.13 sends a table in one packet, and log lines without a prefix. */
const script2313 = aliceOnly("User doesn't exist", async (_command, connection) => {
  await connection.body('Ünïcode\tDrafts\tArchive\tINBOX\t');
  await connection.status('+');
});

const transcripts: readonly Transcript[] = [
  { name: 'quota get at minor 1, 2.3.19.1', options: open, steps: [letIn(1), [quota, quotaPackets]] },
  {
    name: 'quota get at minor 0, 2.4.1',
    options: { ...open, minor: 3 },
    steps: [letIn(0), [quota, quotaRows]],
  },
  {
    name: 'two status lines after a failure, 2.3.13',
    options: { ...open, secondStatus: true, script: script2313 },
    steps: [
      letIn(1),
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
    options: { ...open, minor: 4, script: aliceOnly(noUser, cannedScript()) },
    steps: [
      letIn(4, 4),
      [
        '\t\tOPTION\tlog-passthrough\n\tnouser@example.org\tquota get\n',
        `\xff\xff\xff\xff\xff\0\x02\x03\xfe\x03\xfe\0L\x04${noUser}\n\x03\xfe\0\0\n-NOUSER\n`,
      ],
      [quota, quotaRows],
    ],
  },
  {
    name: 'VERSION, PLAIN and a command in one write, 2.3.19.1',
    options: {},
    steps: [[`${hello(1)}${plainOfSecret}${quota}`, `${version(2)}-\n+\n${quotaPackets}`]],
  },
  {
    name: 'a command before PLAIN, 2.4.1',
    options: { minor: 3 },
    steps: [asked(1, 3), [quota, '-\n']],
    end: true,
  },
  {
    name: 'wrong password, 2.4.1',
    options: { minor: 3 },
    steps: [asked(1, 3), ['PLAIN\tAGRvdmVhZG0Ad3Jvbmc=\n', '-\n']],
    end: true,
  },
  { name: 'major 2', options: {}, steps: [['VERSION\tdoveadm-server\t2\t0\n', '']], end: true },
  { name: 'wrong name', options: {}, steps: [['VERSION\tdoveadm-client\t1\t0\n', '']], end: true },
  {
    name: 'clear text after STARTTLS is taken as TLS, 2.4.1',
    options: { tls: 'starttls', certificate },
    steps: [asked(2), [`STARTTLS\n${plainOfSecret}`, '']],
    end: true,
  },
  {
    name: 'a line of two fields, 2.4.1',
    options: open,
    steps: [
      letIn(1),
      ['\talice@example.org\n', 'L\0\0\0\x34\x04doveadm: doveadm: doveadm client: No command given\n'],
    ],
    end: true,
  },
  {
    name: 'the flag x on a server of minor 2',
    options: open,
    steps: [letIn(0), [`x\tproxy-ttl=5${quota}`, '']],
    end: true,
  },
  {
    name: 'save reads to the dot before it answers, 2.4.1',
    options: open,
    steps: [
      letIn(1),
      ['\tbob@example.org\tsave\t-m\tDrafts\nSubject: dots\r\n\r\n..x\r\n...\r\n', ''],
      ['.y\r\n..\r\nlast\r\n\r\n.\r\n', '\0\0\0\0\x03\n+\n'],
    ],
  },
];

for (const { name, options, steps, end } of transcripts) {
  void test(`as captured: ${name}`, async (t) => {
    const dovecot = await openScriptedDovecot({ ...options, owner: t });
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
