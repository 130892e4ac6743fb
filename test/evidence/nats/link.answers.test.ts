// Goal: a server that takes us and then answers nothing: each question ends after 5 s, not before, and a message after 3 s. The server is
// scripted, since a real one answers; the timers are turned by hand once the link is open.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { TLSSocket } from 'node:tls';
import { NatsFault } from '../../../src/evidence/nats/fault.js';
import { openNats } from '../../../src/evidence/nats/link.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { settle } from '../../kit/plain/fake-clock.js';
import { openFolder } from '../../kit/plain/folder.js';
import { until } from '../../kit/plain/until.js';

const emptyState =
  '{"first_seq":0,"last_seq":0,"messages":0,"bytes":0,"first_ts":"0001-01-01T00:00:00Z","last_ts":"0001-01-01T00:00:00Z"}';

/** It has TLS, lets everybody in, answers pings while it is `alive`, and questions by `answer`, and keeps what it was sent. */
async function openMuteServer(t: TestContext) {
  const authority = makeAuthority({ name: 'mute' });
  const { certificatePem, keyPem } = authority.issue({ names: ['127.0.0.1'] });
  const heard = { text: '', isAlive: true, answer: '', direct: '' };
  const server = createServer((socket) => {
    t.after(() => socket.destroy());
    socket.on('error', () => undefined);
    socket.write(
      'INFO {"server_id":"x","version":"2.10.0","proto":1,"headers":true,"max_payload":1048576,"tls_required":true}\r\n',
    );
    const secured = new TLSSocket(socket, { isServer: true, cert: certificatePem, key: keyPem });
    secured.on('error', () => undefined);
    secured.setEncoding('latin1').on('data', (text: string) => {
      heard.text += text;
      for (const _ of text.matchAll(/^PING\r$/gm)) if (heard.isAlive) secured.write('PONG\r\n');
      const sid = /^SUB \S+ (\d+)\r$/m.exec(heard.text)?.[1];
      const reply = /^(?:PUB \$JS\.API\.\S+|HPUB \S+) (\S+) [\d ]+\r$/m.exec(text)?.[1];
      if (reply !== undefined && heard.direct !== '')
        secured.write(
          `HMSG ${reply} ${sid} ${heard.direct.length} ${heard.direct.length}\r\n${heard.direct}\r\n`,
        );
      if (reply !== undefined && heard.answer !== '')
        secured.write(`MSG ${reply} ${sid} ${heard.answer.length}\r\n${heard.answer}\r\n`);
    });
  }).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const caFile = join(openFolder(t), 'ca.pem');
  writeFileSync(caFile, authority.certificatePem);
  return { heard, settings: { servers: [{ host: '127.0.0.1', port: address.port }], caFile, name: 'test' } };
}

async function openMute(t: TestContext) {
  const { heard, settings } = await openMuteServer(t);
  const link = await openNats(settings);
  t.after(() => link.close());
  return { heard, link };
}

// bounds.natsAnswerMs, bounds.natsStoredMs
test('a question without an answer ends after 5 s, a message after 3 s', { timeout: 60_000 }, async (t) => {
  const { heard, link } = await openMute(t);
  heard.isAlive = false;
  const body = Buffer.from('x');
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let settled = 0;
  const asked = [link.info('S'), link.publish('dovegate.x', [], body, 0), link.lastOf('S', 'dovegate.x')].map(
    (answer) =>
      answer.then(
        () => assert.fail('an answer'),
        (fault: unknown) => {
          settled += 1;
          return fault instanceof NatsFault ? fault.code : fault;
        },
      ),
  );
  await settle();
  t.mock.timers.tick(2_999);
  await settle();
  assert.equal(settled, 0);
  t.mock.timers.tick(1);
  await settle();
  assert.equal(settled, 1);
  t.mock.timers.tick(1_999);
  await settle();
  assert.equal(settled, 1);
  t.mock.timers.tick(1);
  await settle();
  // For the direct question a ping is tried before it is given up.
  assert.equal(settled, 2);
  t.mock.timers.tick(1_000);
  assert.deepEqual(await Promise.all(asked), ['dial-timeout', 'dial-timeout', 'dial-timeout']);
  t.mock.timers.reset();
  await until(() => heard.text.includes('dovegate.x'), 'what was asked');
});

// bounds.natsAnswerBytes
test('an answer about a stream that is longer than 64 KiB is refused', { timeout: 60_000 }, async (t) => {
  const { heard, link } = await openMute(t);
  const answerOf = (bytes: number): string => {
    const [before, after] = [`{"created":"now","state":${emptyState},"config":{"description":"`, '"}}'];
    return `${before}${'x'.repeat(bytes - before.length - after.length)}${after}`;
  };
  heard.answer = answerOf(65_536);
  assert.equal((await link.info('S')).created, 'now');
  heard.answer = answerOf(65_537);
  await assert.rejects(link.info('S'), { code: 'refused', message: /longer than 64 KiB/ });
});

// bounds.natsStreams
test('the streams are listed page by page, and an account with too many of them is refused', {
  timeout: 60_000,
}, async (t) => {
  const { heard, link } = await openMute(t);
  const infoOf = (name: string): string =>
    `{"created":"now","state":${emptyState},"config":{"name":"${name}"}}`;
  heard.answer = `{"total":513,"limit":256,"streams":[${infoOf('A')},${infoOf('B')}],"missing":["B","C"]}`;
  const listed = await link.streams();
  assert.deepEqual(
    [...listed].map(([name, info]) => [name, info?.created]),
    [
      ['A', 'now'],
      ['B', undefined],
      ['C', undefined],
    ],
  );
  assert.deepEqual(heard.text.match(/\{"offset":\d+\}/g), [
    '{"offset":0}',
    '{"offset":256}',
    '{"offset":512}',
  ]);
  heard.answer = '{"total":4096,"limit":4096,"streams":[]}';
  assert.equal((await link.streams()).size, 0);
  heard.answer = '{"total":4097,"limit":4096,"streams":[]}';
  await assert.rejects(link.streams(), { code: 'refused', message: /there are more than 4096/ });
  for (const odd of [
    '{"total":1,"limit":0,"streams":[]}',
    '{"total":1,"limit":1}',
    '{"total":1,"limit":1,"streams":[{}]}',
  ]) {
    heard.answer = odd;
    await assert.rejects(link.streams(), { code: 'refused', message: /not of JetStream/ });
  }
});

test('a duplicate without a number is one: the message with its id is proposed and not stored', {
  timeout: 60_000,
}, async (t) => {
  const { heard, link } = await openMute(t);
  heard.answer = '{"stream":"S","seq":0,"duplicate":true}';
  const published = await link.publish('dovegate.x', [], Buffer.from('x'), 0);
  assert.deepEqual(published, { streamSeq: 0, isDuplicate: true });
  heard.answer = '{"stream":"S","seq":0}';
  await assert.rejects(link.publish('dovegate.x', [], Buffer.from('x'), 0), { code: 'refused' });
});

test('a direct question that a replica leaves without an answer is asked again within its time', {
  timeout: 60_000,
}, async (t) => {
  const { heard, link } = await openMute(t);
  const questions = (): number =>
    [...heard.text.matchAll(/^PUB \$JS\.API\.DIRECT\.GET\.S\.dovegate\.x /gm)].length;
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const answer = link.lastOf('S', 'dovegate.x');
  while (questions() === 0) await settle();
  heard.direct = 'NATS/1.0 404 Message Not Found\r\n\r\n';
  t.mock.timers.tick(999);
  await settle();
  assert.equal(questions(), 1);
  t.mock.timers.tick(1);
  assert.equal(await answer, undefined);
  assert.equal(questions(), 2);
});
