// Goal: whatever happens to a real nats-server, its stream holds each record of a journal exactly once, byte for byte, and what it does not
// certainly hold is never called safe. What must not happen: a hole, a double, a journal of two writers that nobody notices.
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { formatHead, subjectOf } from '../../../src/evidence/fleet/block.js';
import { openNats } from '../../../src/evidence/nats/link.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { leastSafe } from '../../kit/gate/least-safe.js';
import { makeTestTrust } from '../../kit/gate/nats-trust.js';
import { until } from '../../kit/plain/until.js';
import { host, openShipStory, stream } from './ship-story.js';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

void test('records arrive byte for byte, over segments of every form and restarts of ours', async (t) => {
  const story = await openShipStory(t);
  if (story === undefined) return;
  const { journal } = story;
  for (let part = 0; part < 3; part += 1) {
    journal.write(400);
    journal.rotate();
  }
  journal.compress(1);
  journal.compress(2);
  await story.begin();
  story.write(5);
  await story.caughtUp();
  await story.assertComplete();
  const { heads } = await story.shipped();
  assert.ok(heads.length < 30, `${heads.length} blocks for 1205 records`);
  // Nothing is settled yet: a start goes by the stream's last message, which stands in the middle of a segment, then in a compressed one.
  story.write(300);
  await story.begin();
  await story.caughtUp();
  await story.shipping.end();
  journal.rotate();
  journal.compress(4);
  journal.write(2);
  await story.begin();
  await story.caughtUp();
  await story.assertComplete();
  assert.deepEqual([...new Set(story.kinds())], ['ship-connected']);
});

void test('an acknowledgement that was lost, and a shorter block under the same id: the stream is asked', async (t) => {
  const story = await openShipStory(t);
  if (story === undefined) return;
  const { nats, journal } = story;
  journal.write(10);
  // What another run of this gate published before it was killed: the first three records, under the id of the block that comes.
  const own = await openNats(nats.settingsOf(host));
  const { hash } = JSON.parse(journal.lines[2] ?? '');
  const head = formatHead(journal.id, { kind: 'block', first: 1, last: 3, head: String(hash) });
  const bytes = Buffer.from(`${journal.lines.slice(0, 3).join('\n')}\n`);
  await own.publish(subjectOf(host, journal.id), head, bytes, 0);
  await story.begin();
  await story.caughtUp();
  await story.assertComplete();

  // A block that the gate does not know of, while it runs.
  await until(() => story.state.sentSeq === journal.seq, 'nothing waits');
  journal.write(4);
  const { hash: last } = JSON.parse(journal.lines[11] ?? '');
  const more = formatHead(journal.id, { kind: 'block', first: 11, last: 12, head: String(last) });
  const { streamSeq } =
    (await own.lastOf(stream, subjectOf(host, journal.id))) ?? assert.fail('there is one');
  const rest = Buffer.from(`${journal.lines.slice(10, 12).join('\n')}\n`);
  await own.publish(subjectOf(host, journal.id), more, rest, streamSeq);
  await own.close();
  story.write(1);
  await story.caughtUp();
  await story.assertComplete();
  assert.deepEqual(story.kinds(), ['ship-connected']);
});

void test('another journal of this host has used the ids of our blocks: the server drops them once, and they arrive all the same', async (t) => {
  const story = await openShipStory(t);
  if (story === undefined) return;
  const { nats, journal } = story;
  journal.write(700);
  const other = await openNats(nats.settingsOf(host));
  const subject = subjectOf(host, 'b'.repeat(32));
  // A block ends behind 500 records at the latest: each record that can begin one.
  let expected = 0;
  for (let first = 1; first <= 700; first += 1) {
    const head = formatHead(journal.id, { kind: 'block', first, last: first, head: 'c'.repeat(64) });
    expected = (await other.publish(subject, head, Buffer.from('x\n'), expected)).streamSeq;
  }
  await other.close();
  await story.begin();
  await story.caughtUp();
  await story.assertComplete();
  assert.deepEqual(story.kinds(), ['ship-connected']);
});

void test('a stream that is removed and made anew, or full: told, nothing is safe, and it goes on by itself', async (t) => {
  const story = await openShipStory(t);
  if (story === undefined) return;
  const { journal, nats } = story;
  const file = join(journal.directory, 'state', `ship-127.0.0.1_${nats.port}.json`);
  journal.write(500);
  await story.begin({ settleMs: 1_000 });
  await until(() => story.state.safe.seq === 500 && existsSync(file), 'it has settled');
  await story.administer(`STREAM.DELETE.${stream}`);
  story.write(10);
  await until(() => story.kinds().at(-1) === 'ship-away no-stream', 'that it is gone is told');
  // Too small for all records that are there.
  await story.makeStream(100 << 10);
  await until(() => story.kinds().at(-1) === 'ship-away stream-full', 'that it is full is told');
  assert.ok(story.kinds().includes('ship-restarted'));
  assert.ok(story.state.safe.seq < 500, `${story.state.safe.seq} is called safe`);
  assert.ok(story.state.sentSeq < journal.seq);
  await until(() => story.state.lagMs > 0, 'since when, is shown');
  const { config } = await story.administer(`STREAM.INFO.${stream}`);
  await story.administer(`STREAM.UPDATE.${stream}`, { ...Object(config), max_bytes: -1 });
  await story.caughtUp();
  await story.assertComplete();
  await until(() => story.state.safe.seq === journal.seq, 'it is safe again');
});

void test('wrong rights, a user of nobody, an unknown authority: told, nothing is safe, nothing is lost', async (t) => {
  const story = await openShipStory(t, { gates: [host, 'gate2'] });
  if (story === undefined) return;
  const { nats, journal } = story;
  journal.write(5);
  const link = nats.settingsOf(host);
  const other = makeAuthority({ name: 'another authority' });
  const foreign = makeTestTrust(new Map([[host, []]])).credentials.get(host) ?? '';
  const place = (name: string, text: string): string => {
    const path = join(nats.folder, name);
    writeFileSync(path, text);
    return path;
  };
  const wrong = [
    ['no-rights', nats.settingsOf('gate2')],
    ['tls-failed', { ...link, caFile: place('other-ca.pem', other.certificatePem) }],
    ['auth-rejected', { ...link, credentialsFile: place('foreign.creds', foreign) }],
    ['tls-failed', { ...link, caFile: '/nowhere/ca.pem' }],
    ['dial-refused', { ...link, servers: [{ host: '127.0.0.1', port: 1 }] }],
  ] as const;
  for (const [code, settings] of wrong) {
    const told: number = story.events.length;
    await story.begin({ link: settings });
    await until(() => story.events.length > told, `${code} is told`);
    assert.deepEqual(
      story.kinds().slice(told),
      [`ship-away ${code}`],
      JSON.stringify(story.events.slice(told)),
    );
    assert.equal(leastSafe(story.shipping), 0);
  }
  assert.deepEqual((await story.shipped()).lines, []);
  await story.begin();
  await story.caughtUp();
  await story.assertComplete();
});

void test('a journal that was cut behind what was shipped, and one that went on otherwise: forked, for good', async (t) => {
  const story = await openShipStory(t);
  if (story === undefined) return;
  const { journal } = story;
  journal.write(20);
  await story.begin({ settleMs: 0 });
  await until(() => story.state.safe.seq === 20, 'everything is safe');
  await story.shipping.end();

  journal.cut(5);
  await story.begin();
  await until(() => story.state.state.at === 'forked', 'the cut is found');
  const marks = (await story.shipped()).heads.filter(({ kind }) => kind === 'mark');
  assert.deepEqual(
    marks.map((mark) => ({ ...mark, text: '' })),
    [{ kind: 'mark', seq: 20, head: undefined, text: '' }],
  );
  assert.equal(leastSafe(story.shipping), 0, 'nobody can tell which of them are ours');
  // It grows beyond what the stream has, and is another one there.
  story.write(30);
  await story.shipping.end();
  await story.begin();
  await until(() => story.state.state.at === 'forked', 'the mark is found');
  await pause(300);
  const { lines, heads } = await story.shipped();
  assert.deepEqual([lines.length, heads.filter(({ kind }) => kind === 'mark').length], [20, 1]);
  assert.deepEqual(
    story.kinds().filter((kind) => kind === 'audit-forked'),
    ['audit-forked', 'audit-forked'],
    'once for each start',
  );
});
