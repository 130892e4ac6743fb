// Goal: whatever a real nats-server does, its user gets what was asked for, or a fault with the right code, soon. Phases: opening; rights;
// publishing and looking; reading; a server that ends, stands still, or comes back with another store. What must not happen: plain text
// on the wire, a wrong name that is taken, a message that is lost or doubled in silence, more in memory than was asked for.
import assert from 'node:assert/strict';
import { copyFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { FleetMessage } from '../../../src/evidence/fleet/shapes.js';
import { type NatsSettings } from '../../../src/evidence/nats/dial.js';
import { NatsFault } from '../../../src/evidence/nats/fault.js';
import { type NatsLink, openNats } from '../../../src/evidence/nats/link.js';
import { judgeStrength } from '../../../src/evidence/streams/strength.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { type Nats, type NatsOptions, natsReleases, openNatsServer } from '../../kit/gate/nats.js';
import { openFolder } from '../../kit/plain/folder.js';
import { listenHere } from '../../kit/plain/free-ports.js';
import { until } from '../../kit/plain/until.js';

const stream = 'DOVEGATE_AUDIT';
const journal = 'a'.repeat(32);
const subject = `dovegate.audit.gate1.${journal}`;
const subjectsOfAll = ['dovegate.audit.>', 'dovegate.fleet.checkpoint'];
const asItIsMade = { subjects: subjectsOfAll, replicas: 1, maxAgeMs: 0, maxBytes: undefined };
const never = new AbortController().signal;

/** A link that ends with the test. */
async function open(t: TestContext, settings: NatsSettings): Promise<NatsLink> {
  const link = await openNats(settings);
  t.after(() => link.close());
  return link;
}

/** That it is this fault. What has no answer at all is another one, `dial-timeout`, unless the test says why. */
async function fails(what: Promise<unknown>, code: string, words = /./): Promise<void> {
  const thrown: unknown = await what.then(
    () => assert.fail(`no fault; ${code} was expected`),
    (fault: unknown) => fault,
  );
  if (!(thrown instanceof NatsFault)) throw thrown;
  assert.equal(thrown.code, code, thrown.message);
  assert.match(thrown.message, words);
  assert.doesNotMatch(thrown.message, /BEGIN|subject=|issuer=/);
}

/** The stream is made, and each user has a link that ends with the test. */
async function begin(t: TestContext, nats: Nats) {
  const of = (user: string): Promise<NatsLink> => open(t, nats.settingsOf(user));
  const admin = await of('admin');
  await admin.createStream(stream, asItIsMade);
  return { admin, gate: await of('gate1'), neighbour: await of('gate2'), verifier: await of('verifier') };
}

async function readAll(messages: AsyncIterable<FleetMessage>): Promise<number[]> {
  const seqs: number[] = [];
  for await (const { streamSeq } of messages) seqs.push(streamSeq);
  return seqs;
}

/** Blocks of one subject, one after the other; the number of the last. */
async function fill(link: NatsLink, count: number, bytes: number, of = subject): Promise<number> {
  let last = (await link.lastOf(stream, of))?.streamSeq ?? 0;
  for (let at = 0; at < count; at += 1) {
    const body = Buffer.alloc(bytes, String(at % 10));
    last = (await link.publish(of, [['Dovegate-Seq', `${at}-${at}`]], body, last)).streamSeq;
  }
  return last;
}

/** As servers of other people may know us. */
const byCertificates = { users: 'certificates' } as const;

/** For each release that is asked for: the server, with two gates and a verifier. */
function onEach(
  name: string,
  options: Partial<NatsOptions>,
  run: (t: TestContext, nats: Nats) => Promise<void>,
): void {
  for (const release of natsReleases) {
    test(`${name} (${release})`, { timeout: 600_000 }, async (t) => {
      const nats = await openNatsServer(t, {
        gates: ['gate1', 'gate2'],
        hasOneStream: true,
        release,
        ...options,
      });
      if ('skip' in nats) return t.skip(nats.skip);
      await run(t, nats);
    });
  }
}

onEach(
  'a server is taken only with its certificate, and takes only whom it knows',
  byCertificates,
  async (t, nats) => {
    const good = nats.settingsOf('gate1');
    const folder = openFolder(t);
    const file = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const stranger = makeAuthority({ name: 'another authority' });
    const [server] = good.servers;
    assert.ok(server !== undefined);

    await fails(
      openNats({ ...good, caFile: undefined }),
      'tls-failed',
      /not in the system's list of authorities/,
    );
    process.env['SSL_CERT_FILE'] = join(nats.folder, 'ca.pem');
    await (await openNats({ ...good, caFile: undefined })).close();
    delete process.env['SSL_CERT_FILE'];
    const otherCa = file('other.pem', stranger.certificatePem);
    await fails(openNats({ ...good, caFile: otherCa }), 'tls-failed', /authority that is not in `ca`/);
    await fails(openNats({ ...good, caFile: '/nowhere/ca.pem' }), 'tls-failed', /\/nowhere\/ca\.pem/);
    await fails(openNats({ ...good, caFile: file('empty.pem', 'nothing') }), 'tls-failed');
    await fails(openNats({ ...good, client: undefined }), 'tls-failed', /client certificate/);
    const [gate1, gate2] = [good.client, nats.settingsOf('gate2').client];
    assert.ok(gate1 !== undefined && gate2 !== undefined);
    for (const [client, words] of [
      [{ ...gate1, keyFile: gate2.keyFile }, /gate2\.key is not the key of the certificate in .*gate1\.pem/],
      [{ ...gate1, keyFile: file('no.key', 'nothing') }, /no\.key holds no private key in PEM/],
      [{ ...gate1, certificateFile: file('no.pem', 'nothing') }, /no\.pem holds no certificate in PEM/],
    ] as const)
      for (const caFile of [good.caFile, undefined])
        await fails(openNats({ ...good, caFile, client }), 'tls-failed', words);
    const own = stranger.issue({ names: ['gate1.fleet.test'], client: true });
    const forged = { certificateFile: file('a.pem', own.certificatePem), keyFile: file('a.key', own.keyPem) };
    await fails(openNats({ ...good, client: forged }), 'tls-failed', /our client certificate/);
    const nobody = nats.authority.issue({ names: ['nobody.fleet.test'], client: true });
    const unknown = {
      certificateFile: file('n.pem', nobody.certificatePem),
      keyFile: file('n.key', nobody.keyPem),
    };
    await fails(openNats({ ...good, client: unknown }), 'auth-rejected', /does not know us/);

    // Files are read at each opening.
    copyFileSync(join(nats.folder, 'ca.pem'), otherCa);
    const link = await open(t, { ...good, caFile: otherCa });
    assert.equal(link.place, `127.0.0.1:${nats.port}`);

    // One server that is away costs nothing but its time; all faults are named.
    const away = { host: '127.0.0.1', port: 1 };
    const second = await open(t, { ...good, servers: [away, server] });
    assert.equal(second.place, `127.0.0.1:${nats.port}`);
    await fails(openNats({ ...good, servers: [away] }), 'dial-refused', /127\.0\.0\.1:1: nobody listens/);
    await fails(
      openNats({ ...good, servers: [away, server], client: undefined }),
      'tls-failed',
      /127\.0\.0\.1:1: nobody listens there; no TLS with/,
    );
  },
);

onEach('a certificate for a name is none for an address', { names: ['localhost'] }, async (t, nats) => {
  const good = nats.settingsOf('gate1');
  await fails(openNats(good), 'tls-failed', /127\.0\.0\.1:\d+: its certificate is for another name/);
  await open(t, { ...good, servers: [{ host: 'localhost', port: nats.port }] });
});

onEach('a name is compared too', { names: ['nats1.example.com', '127.0.0.1'] }, async (t, nats) => {
  const good = nats.settingsOf('gate1');
  await open(t, good);
  const named = { ...good, servers: [{ host: 'localhost', port: nats.port }] };
  await fails(openNats(named), 'tls-failed', /its certificate is for another name/);
});

test('nothing is said to a server without TLS, nor to one that is none', async (t) => {
  const folder = openFolder(t);
  const credentialsFile = join(folder, 'a.creds');
  writeFileSync(credentialsFile, 'a secret');
  for (const [greeting, code, words] of [
    [
      'INFO {"server_id":"A","version":"2.9.10","max_payload":1048576,"headers":true}\r\n',
      'tls-failed',
      /no TLS/,
    ],
    ['HTTP/1.1 400 Bad Request\r\n\r\n', 'dial-refused', /not a NATS server/],
    ['INFO {"tls_required":true\r\n', 'dial-refused', /not a NATS server/],
  ] as const) {
    let received = 0;
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => {
        received += chunk.length;
      });
      socket.write(greeting);
    });
    t.after(() => server.close());
    const port = await listenHere(server);
    const settings = { servers: [{ host: '127.0.0.1', port }], name: 'test', credentialsFile };
    await fails(openNats(settings), code, words);
    assert.equal(received, 0);
  }
});

onEach('a user by credentials has its rights', {}, async (t, nats) => {
  const { gate } = await begin(t, nats);
  assert.deepEqual(await gate.publish(subject, [], Buffer.from('one\n'), 0), {
    streamSeq: 1,
    isDuplicate: false,
  });
  await fails(gate.publish('dovegate.audit.gate2.b', [], Buffer.from('x'), 0), 'no-rights');

  const folder = openFolder(t);
  const credentialsFile = join(folder, 'x.creds');
  writeFileSync(credentialsFile, 'no credentials');
  await fails(openNats({ ...nats.settingsOf('gate1'), credentialsFile }), 'tls-failed', /JWT and a seed/);
  await fails(openNats({ ...nats.settingsOf('gate1'), credentialsFile: undefined }), 'auth-rejected');
});

const noNext = {
  publish: { allow: [`$JS.API.CONSUMER.CREATE.${stream}.>`] },
  subscribe: { allow: ['_INBOX.reader.>'] },
};

onEach('what a user may not do is refused at once', { others: { reader: noNext } }, async (t, nats) => {
  const { gate, neighbour, verifier } = await begin(t, nats);
  const other = `dovegate.audit.gate2.${journal}`;
  await fails(
    gate.publish(other, [], Buffer.from('x'), 0),
    'no-rights',
    /Publish to "dovegate\.audit\.gate2/,
  );
  await fails(gate.lastOf(stream, other), 'no-rights');
  await fails(gate.info(stream), 'no-rights');
  await fails(gate.messageAt(stream, 1), 'no-rights');
  await fails(gate.createStream('OTHER', asItIsMade), 'no-rights');
  await neighbour.publish(other, [], Buffer.from('x'), 0);
  await fails(readAll(gate.read(stream, 1, 1, never)), 'no-rights');
  await fails(readAll(gate.read(stream, 1, 100, never)), 'no-rights');
  await fails(verifier.publish(subject, [], Buffer.from('x'), 0), 'no-rights');
  // Answers to others, which may hold their records.
  const curious = await open(t, { ...nats.settingsOf('gate2'), inbox: '_INBOX.gate1' });
  await fails(curious.lastOf(stream, other), 'no-rights', /Subscription to "_INBOX\.gate1/);
  // One that may make a consumer, and not ask it.
  const reader = await open(t, nats.settingsOf('reader'));
  await fails(readAll(reader.read(stream, 1, 100, never)), 'no-rights', /MSG\.NEXT/);
  // None of it ended a connection.
  assert.equal(await gate.lastOf(stream, subject), undefined);
});

for (const users of ['certificates', 'credentials'] as const)
  onEach(`the server does nothing for a gate by ${users} that the gate may not do`, { users }, doesNothing);

async function doesNothing(t: TestContext, nats: Nats): Promise<void> {
  // The server sends answers with its own rights to whatever subject a request names.
  const { admin, gate, neighbour } = await begin(t, nats);
  await nats.api('STREAM.CREATE.PLAIN', { name: 'PLAIN', subjects: ['plain.>'], num_replicas: 1 });
  const other = `dovegate.audit.gate2.${journal}`;
  await fill(gate, 2, 100);
  await fill(neighbour, 2, 100, other);
  const raw = await nats.connect('gate1');
  t.after(() => raw.close());
  const nothing = `$JS.API.DIRECT.GET.${stream}.dovegate.audit.gate1.nothing`;
  const replies = [
    other,
    'plain.x',
    'dovegate.fleet.checkpoint',
    `$JS.API.STREAM.DELETE.${stream}`,
    '$JS.API.STREAM.DELETE.PLAIN',
    '$JS.API.STREAM.PURGE.PLAIN',
  ];
  for (const reply of replies) {
    // An acknowledgement, a message, and an answer without a body, which some requests demand.
    raw.publish(subject, 'x', { reply });
    raw.publish(`$JS.API.DIRECT.GET.${stream}.${subject}`, '', { reply });
    raw.publish(nothing, '', { reply });
  }
  await raw.flush();
  const last = 4 + replies.length;
  await until(async () => (await gate.lastOf(stream, subject))?.streamSeq === last, 'all were stored');
  const { messages, lastSeq } = await admin.info(stream);
  assert.deepEqual([messages, lastSeq], [last, last], 'its own messages, and no other');
  assert.equal((await neighbour.lastOf(stream, other))?.streamSeq, 4);
  const { state } = await nats.api('STREAM.INFO.PLAIN');
  assert.match(JSON.stringify(state), /"messages":0,/);
}

onEach('a message is stored once, behind the one that was expected', {}, async (t, nats) => {
  const admin = await open(t, nats.settingsOf('admin'));
  const gate = await open(t, nats.settingsOf('gate1'));
  const verifier = await open(t, nats.settingsOf('verifier'));
  // 2.9 gives no answer at all from one account to another.
  const silent = nats.version.startsWith('2.9.');
  const code = silent ? 'dial-timeout' : 'no-stream';
  await fails(gate.publish(subject, [], Buffer.from('x'), 0), code);
  await fails(verifier.info(stream), 'no-stream');
  await fails(readAll(verifier.read(stream, 1, 1, never)), 'no-stream');
  await fails(readAll(verifier.read(stream, 1, 100, never)), 'no-stream');

  await admin.createStream(stream, asItIsMade);
  const made = await verifier.info(stream);
  assert.deepEqual(
    { ...made, created: '', firstMs: 0, lastMs: 0 },
    {
      created: '',
      firstSeq: made.firstSeq,
      lastSeq: 0,
      firstMs: 0,
      lastMs: 0,
      messages: 0,
      bytes: 0,
      subjects: ['dovegate.audit.>', 'dovegate.fleet.checkpoint'],
      maxBytes: undefined,
      config: made.config,
    },
  );
  const wanted = { subjects: made.subjects, isExact: false, replicas: 1, keepMs: 0 };
  assert.deepEqual(judgeStrength(made.config, wanted), []);
  assert.ok(Number.isFinite(Date.parse(made.created)), made.created);
  await admin.createStream(stream, { ...asItIsMade, maxAgeMs: 86_400_000, maxBytes: 1_000_000 });
  assert.deepEqual(await verifier.info(stream), made, 'one that exists is not changed');

  const headers = [
    ['Nats-Msg-Id', `${journal}:1`],
    ['Dovegate-Seq', '1-2'],
  ] as const;
  assert.equal(await gate.lastOf(stream, subject), undefined);
  const lines = Buffer.from('{"seq":1}\n{"seq":2,"text":"\u00e9"}\n');
  assert.deepEqual(await gate.publish(subject, headers, lines, 0), { streamSeq: 1, isDuplicate: false });
  assert.deepEqual(await gate.publish(subject, headers, lines, 0), { streamSeq: 1, isDuplicate: true });
  await fails(gate.publish(subject, [], lines, 0), 'wrong-sequence', /wrong last sequence: 1/);
  // Another subject in between changes nothing.
  const neighbour = await open(t, nats.settingsOf('gate2'));
  const other = `dovegate.audit.gate2.${journal}`;
  assert.equal((await neighbour.publish(other, [], lines, 0)).streamSeq, 2);
  assert.equal((await gate.publish(subject, [['Dovegate-Seq', '3-3']], Buffer.alloc(0), 1)).streamSeq, 3);

  const first = await verifier.messageAt(stream, 1);
  assert.ok(first !== undefined);
  assert.deepEqual([first.streamSeq, first.subject, first.header('Dovegate-Seq')], [1, subject, '1-2']);
  assert.deepEqual(Buffer.from(first.bytes), lines);
  assert.ok(Math.abs(first.storedMs - Date.now()) < 60_000);
  assert.equal(first.header('Dovegate-Head'), '');
  const last = await gate.lastOf(stream, subject);
  assert.deepEqual([last?.streamSeq, last?.bytes.length, last?.header('Dovegate-Seq')], [3, 0, '3-3']);
  assert.equal(await verifier.messageAt(stream, 4), undefined);
  await fails(gate.publish(subject, [], Buffer.alloc(2 << 20), 3), 'refused', /max_payload/);

  // Nothing can be taken out again.
  for (const question of [`STREAM.MSG.DELETE.${stream}`, `STREAM.PURGE.${stream}`]) {
    const answer = await nats.api(question, question.includes('MSG') ? { seq: 1 } : undefined);
    assert.ok(answer['error'] !== undefined, JSON.stringify(answer));
  }
});

onEach('a stream that takes no more, and one with other settings', {}, async (t, nats) => {
  const admin = await open(t, nats.settingsOf('admin'));
  const gate = await open(t, nats.settingsOf('gate1'));
  await admin.createStream(stream, { ...asItIsMade, maxAgeMs: 60_000, maxBytes: 300_000 });
  const body = Buffer.alloc(64_000, 'x');
  let last = 0;
  const publish = async (): Promise<void> => {
    for (let at = 0; at < 10; at += 1) last = (await gate.publish(subject, [], body, last)).streamSeq;
  };
  await fails(publish(), 'stream-full', /maximum bytes exceeded/);
  assert.equal(last, 4);
  assert.equal((await gate.lastOf(stream, subject))?.streamSeq, 4, 'what was there stays');

  await nats.api(`STREAM.DELETE.${stream}`);
  await nats.api(`STREAM.CREATE.${stream}`, {
    name: stream,
    subjects: ['dovegate.audit.gate1.*'],
    storage: 'memory',
    retention: 'interest',
    discard: 'old',
    allow_rollup_hdrs: true,
    no_ack: true,
    max_msgs_per_subject: 5,
  });
  const { config } = await admin.info(stream);
  const subjects = ['dovegate.audit.>', 'dovegate.fleet.checkpoint'];
  const weak = judgeStrength(config, { subjects, isExact: false, replicas: 1, keepMs: 0 });
  assert.deepEqual(
    weak.map(({ property }) => property),
    [
      'allow_rollup_hdrs',
      'no_ack',
      'subjects',
      'storage',
      'retention',
      'discard',
      'deny_delete',
      'deny_purge',
      'allow_direct',
      'max_msgs_per_subject',
    ],
  );
});

onEach('messages are read from a number to a number', {}, async (t, nats) => {
  const { gate, neighbour, verifier } = await begin(t, nats);
  const other = `dovegate.audit.gate2.${journal}`;
  const read = (from: number, untilSeq: number, signal = never): Promise<number[]> =>
    readAll(verifier.read(stream, from, untilSeq, signal));
  assert.deepEqual(await read(1, 0), [], 'an empty stream has an end');

  await fill(gate, 700, 100);
  assert.deepEqual(
    await read(1, 700),
    Array.from({ length: 700 }, (_, at) => at + 1),
  );
  assert.deepEqual(await read(690, 695), [690, 691, 692, 693, 694, 695]);
  assert.deepEqual(await read(1, 2), [1, 2]);
  await fill(neighbour, 3, 100, other);
  assert.deepEqual(await read(697, 703), [697, 698, 699, 700, 701, 702, 703]);
  assert.deepEqual(await read(702, 703), [702, 703], 'few are requested one by one');
  // What is not there yet is not waited for.
  assert.deepEqual(await read(702, 704), [702, 703]);
  assert.deepEqual(await read(700, 800), [700, 701, 702, 703]);
  assert.deepEqual(await read(800, 803), []);

  // A reader that stops early, and one that is stopped before the first, leave nothing behind.
  for await (const message of verifier.read(stream, 1, 700, never)) {
    if (message.streamSeq === 3) break;
  }
  assert.deepEqual(await read(1, 700, AbortSignal.abort()), []);
  await verifier.info(stream);
  const { consumers } = await nats.api(`CONSUMER.LIST.${stream}`);
  assert.deepEqual(consumers ?? [], []);
});

onEach('a slow reader is sent some MiB, and the rest when it goes on', {}, async (t, nats) => {
  const { gate, verifier } = await begin(t, nats);
  const size = 128 << 10;
  await fill(gate, 400, size);
  // As large as the server takes any.
  const last = await fill(gate, 4, 1_048_000);
  const seqs: number[] = [];
  let sent = 0;
  for await (const { streamSeq } of verifier.read(stream, 1, last, never)) {
    seqs.push(streamSeq);
    if (streamSeq !== 1) continue;
    // Longer than what is sent ahead takes; the consumer's own number says how far it came.
    for (let quiet = 0; quiet < 10 || sent <= 1; ) {
      await pause(50);
      const { consumers } = await nats.api(`CONSUMER.LIST.${stream}`);
      const [consumer] = Array.isArray(consumers) ? consumers : [];
      const now = Number(consumer?.delivered?.stream_seq);
      quiet = now === sent ? quiet + 1 : 0;
      sent = now;
    }
  }
  assert.ok(sent > 1 && sent * size < 10 << 20, `${sent} of ${last} messages were sent ahead`);
  assert.deepEqual(
    seqs,
    Array.from({ length: last }, (_, at) => at + 1),
  );

  // Whatever happens to its consumer, a read ends.
  const readAfter = async (act: (name: string, config: object) => Promise<unknown>): Promise<void> => {
    for await (const { streamSeq } of verifier.read(stream, 1, last, never)) {
      if (streamSeq !== 1) continue;
      const { consumers } = await nats.api(`CONSUMER.LIST.${stream}`);
      const [consumer] = Array.isArray(consumers) ? consumers : [];
      await act(consumer.name, consumer.config);
    }
  };
  await fails(
    readAfter((name) => nats.api(`CONSUMER.DELETE.${stream}.${name}`)),
    'closed-early',
  );
  const elsewhere = { filter_subject: 'dovegate.audit.none' };
  await fails(
    readAfter((name, config) =>
      nats.api(`CONSUMER.CREATE.${stream}.${name}.${elsewhere.filter_subject}`, {
        stream_name: stream,
        config: { ...config, ...elsewhere },
      }),
    ),
    'closed-early',
    /nothing came for 10 s/,
  );
});

onEach(
  'a server that is killed ends what is under way; its store stays',
  { syncAlways: true },
  async (t, nats) => {
    const { admin, gate, verifier } = await begin(t, nats);
    const before = await admin.info(stream);
    const last = await fill(gate, 100, 128 << 10);
    const seen: number[] = [];
    let isKilled = false;
    const reading = (async () => {
      for await (const { streamSeq } of verifier.read(stream, 1, last, never)) {
        seen.push(streamSeq);
        if (seen.length === 3) await until(() => isKilled, 'the server is killed');
      }
    })();
    const publishing = (async () => {
      for (let seq = last; ; ) seq = (await gate.publish(subject, [], Buffer.from('x'), seq)).streamSeq;
    })();
    const ends = Promise.all([
      fails(reading, 'closed-early', /ended the connection/),
      fails(publishing, 'closed-early'),
    ]);
    await until(() => seen.length === 3, 'messages are read while others are published');
    await nats.kill();
    isKilled = true;
    await ends;
    for (const link of [admin, gate, verifier]) assert.equal((await link.ended)?.code, 'closed-early');
    await fails(gate.publish(subject, [], Buffer.from('x'), last), 'closed-early');
    await fails(gate.lastOf(stream, subject), 'closed-early');
    await fails(openNats(nats.settingsOf('gate1')), 'dial-refused');
    await gate.close();

    await nats.start();
    const again = await openNats(nats.settingsOf('verifier'));
    const after = await again.info(stream);
    assert.equal(after.created, before.created, 'it is the same stream');
    assert.ok(after.lastSeq >= last);

    // Back to an older store: the number of the last message goes back, the stream is the same.
    await nats.stop();
    assert.equal((await again.ended)?.code, 'closed-early');
    nats.copyStore('early');
    await nats.start();
    const writer = await open(t, nats.settingsOf('gate1'));
    const more = await fill(writer, 5, 100);
    const early = more - 5;
    await nats.stop();
    nats.restoreStore('early');
    await nats.start();
    const back = await open(t, nats.settingsOf('verifier'));
    const info = await back.info(stream);
    assert.deepEqual([info.created, info.lastSeq], [before.created, early]);

    // A stream that is removed ends its reader.
    const removed = (async () => {
      for await (const { streamSeq } of back.read(stream, 1, early, never))
        if (streamSeq === 1) await nats.api(`STREAM.DELETE.${stream}`);
    })();
    await fails(removed, 'closed-early');
    await fails(back.info(stream), 'no-stream');
    await back.close();
    assert.equal(await back.ended, undefined, 'closed here');
  },
);

onEach(
  'a server that stands still, and a stream that does not answer, are told in time',
  {},
  async (t, nats) => {
    // On 2.9 a direct question to no stream has no answer at all.
    const lonely = await open(t, nats.settingsOf('gate1'));
    await fails(lonely.lastOf(stream, subject), 'no-stream', /fleet init/);
    const admin = await open(t, nats.settingsOf('admin'));
    await admin.createStream(stream, asItIsMade);
    const verifier = await open(t, nats.settingsOf('verifier'));
    const last = await fill(lonely, 100, 128 << 10);
    let isFrozen = false;
    let seen = 0;
    const reading = (async () => {
      for await (const { streamSeq } of verifier.read(stream, 1, last, never)) {
        seen = streamSeq;
        if (streamSeq === 1) await until(() => isFrozen, 'the server stands still');
      }
    })();
    await until(() => seen === 1, 'it reads');
    await nats.freeze();
    isFrozen = true;
    t.after(() => nats.thaw());
    const stop = new AbortController();
    const stopped = openNats(nats.settingsOf('gate1'), stop.signal);
    stop.abort(new Error('enough'));
    await assert.rejects(stopped, /enough/);
    await Promise.all([
      fails(openNats(nats.settingsOf('gate1')), 'dial-timeout', /says nothing within 5 s/),
      fails(lonely.publish(subject, [], Buffer.from('x'), last), 'dial-timeout', /no answer in time/),
      fails(lonely.lastOf(stream, subject), 'dial-timeout'),
      fails(reading, 'closed-early', /nothing came for 10 s/),
    ]);
  },
);
