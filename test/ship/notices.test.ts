// Goal: each receiver of the settings has a feed of its own, and settings can change while it runs. What must not happen: a receiver that
// never answers, floods or is down delays another one; a notice before the end of the journal is known; a connection after the end.
import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import { type TestContext, test } from 'node:test';
import type { DaemonEvent } from '../../src/gate/telemetry/log.js';
import { systemClock } from '../../src/host/machine/clock.js';
import { createLookup } from '../../src/host/net/receivers.js';
import { type NoticeReceiver, noticeEvents } from '../../src/rules/config/receiver.js';
import type { NoticeSettings, WebhookSettings } from '../../src/rules/config/settings.js';
import { startNotices } from '../../src/ship/notices.js';
import { createReceiverSet } from '../../src/ship/receiver-set.js';
import { closeBefore, temporaryDirectory } from '../journal/files/reading.js';
import { accessBody, usualRequest } from '../kit/plain/access-record.js';
import { listenHere } from '../kit/plain/free-ports.js';
import { idle } from '../kit/plain/idle.js';
import { until } from '../kit/plain/until.js';
import { type DiskJournal, openDiskJournal } from './shipping/journal-on-disk.js';

async function openReceiver(
  t: TestContext,
  name: string,
  handler: RequestListener,
): Promise<{ readonly settings: WebhookSettings; readonly ids: string[]; open(): number }> {
  const ids: string[] = [];
  const server = createServer((request, response) => {
    ids.push(String(request.headers['webhook-id']).replace(/^.*?\./, ''));
    handler(request, response);
  });
  const port = await listenHere(server);
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  let connections = 0;
  server.on('connection', (socket) => {
    connections += 1;
    socket.on('close', () => (connections -= 1));
  });
  const url = `http://127.0.0.1:${port}/`;
  const settings: WebhookSettings = { kind: 'webhook', name, url, format: 'text', events: [...noticeEvents] };
  return { settings, ids, open: () => connections };
}

const headOf = ({ directory, id }: DiskJournal) => ({ directory, journal: id, host: 'gate' });

void test('a receiver that never answers, one that floods and one that is down delay no other', async (t) => {
  const journal = openDiskJournal(t);
  const lines: string[] = [];
  let seq = journal.seq;
  const parts = {
    clock: systemClock,
    chance: () => 0.5,
    log: { report: ({ event, text }: DaemonEvent) => void lines.push(`${event} ${text}`) },
    state: temporaryDirectory(t),
    lookup: createLookup(),
    untilSeq: () => seq,
  };
  const notices = createReceiverSet<NoticeSettings, NoticeReceiver>((settings, head) =>
    Promise.resolve(startNotices(settings, head, parts)),
  );
  const reached = (): void => {
    ({ seq } = journal);
    notices.nudge();
  };
  closeBefore(t, () => notices.close());
  const good = await openReceiver(t, 'good', (_, response) => void response.writeHead(204).end());
  const silent = await openReceiver(t, 'silent', () => undefined);
  const flood = await openReceiver(t, 'flood', (request, response) => {
    response.writeHead(500);
    const timer = setInterval(() => response.write('e'.repeat(65_536)), 1);
    request.on('close', () => clearInterval(timer));
  });
  const down: NoticeSettings = { ...good.settings, name: 'down', url: 'http://127.0.0.1:1/' };
  await notices.replace([silent.settings, flood.settings, down, good.settings], headOf(journal));
  assert.equal(notices.reports.length, 4);
  await idle();
  for (let at = 0; at < 20; at += 1) journal.writeBodies(accessBody(Date.now(), usualRequest));
  // On disk, and not known to be: nothing is sent.
  assert.deepEqual(good.ids, []);
  reached();
  await until(() => silent.ids.length > 0, 'the notice that nobody answers');
  const text = () => `${good.ids.join()} ${lines.join('\n')}`;
  await until(() => good.ids.length === 20, text);
  // The silent one has not even timed out.
  assert.deepEqual([silent.ids, silent.open()], [['1'], 1]);
  assert.equal(good.ids.join(' '), Array.from({ length: 20 }, (_, at) => at + 1).join(' '));
  await until(() => notices.reports.filter(({ fault }) => fault !== undefined).length >= 2, 'their faults');
  assert.ok(flood.open() <= 1);
  // It counts what was answered, which is later than what was asked.
  await until(() => notices.reports.some((each) => each.name === 'good' && each.delivered === 20), 'all');
  assert.ok(lines.includes('notices-away flood: it answers with an HTTP status that is no success (500)'));
  // Settings without two of them, and one of another URL: it goes on where it was.
  const moved = await openReceiver(t, 'down', (_, response) => void response.writeHead(200).end());
  void notices.replace([good.settings, moved.settings], headOf(journal));
  await until(() => moved.ids.length === 20, 'all for the one that is back');
  await until(() => silent.open() === 0 && flood.open() === 0, 'no connection of those that are gone');
  assert.deepEqual(notices.reports.map(({ name }) => name).toSorted(), ['down', 'good']);
  await notices.close();
  journal.writeBodies(accessBody(Date.now(), usualRequest));
  reached();
  assert.equal(good.ids.length, 20);
});
