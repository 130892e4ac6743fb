// Goal: notices come from the process that ships, at least once, and the gate does nothing for them. Phases: a daemon that goes on with a
// journal which has records of access; dovegate ship is killed between the sending of a notice and the storing of its place, and started
// again; a receiver that fails, in the metrics, the status and the problems; a second process beside the first. Then the same daemon with
// and without notices, side by side. What must not happen: a notice that is lost, a duplicate with another id, a file, a descriptor, a
// thread or a record of the gate more.

import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { segmentName } from '../../../src/journal/files/segments.js';
import { type Daemon, startShip } from '../../kit/gate/daemon.js';
import { auditRecords, type Gateway, openGateway } from '../../kit/gate/gateway.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { accessBody, usualRequest } from '../../kit/plain/access-record.js';
import { askHttp } from '../../kit/plain/ask-http.js';
import { descriptorsOf, seesDescriptors } from '../../kit/plain/descriptors.js';
import { listenHere } from '../../kit/plain/free-ports.js';
import { until } from '../../kit/plain/until.js';
import { openDiskJournal } from '../../ship/shipping/journal-on-disk.js';

const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}\n`;

interface Chat {
  readonly port: number;
  /** Ids of everything that came. */
  readonly ids: string[];
  answer: (response: ServerResponse, id: string) => void;
}

async function openChat(t: TestContext): Promise<Chat> {
  const chat: Chat = { port: 0, ids: [], answer: (response) => void response.writeHead(204).end() };
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      const id = String(request.headers['webhook-id']);
      chat.ids.push(id.slice(id.indexOf('.') + 1));
      chat.answer(response, id);
    });
  });
  const port = await listenHere(server);
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return Object.assign(chat, { port });
}

const settings = (notices: string): string => `admin: { unix: admin.sock }\n${notices}`;
const auditWith = (more = ''): string =>
  `{ door: ship.sock, directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB${more} }`;

const noticesTo = (port: number): string =>
  `notices: { chat: { webhook: "http://127.0.0.1:${port}/hook", secret_file: hook } }`;

void test('killed between sending and storing, a second process, then a receiver that fails', {
  timeout: 600_000,
}, async (t) => {
  const chat = await openChat(t);
  const before = openDiskJournal(t);
  const nowMs = Date.now();
  before.write(20, { time: nowMs - 60_000 });
  for (const action of ['requested', 'granted', 'refused', 'revoked'])
    before.writeBodies(accessBody(nowMs - 50_000, { ...usualRequest, action }));
  before.write(20, { time: nowMs - 40_000 });
  const { daemon } = await openGateway(t, {
    audit: auditWith(),
    more: settings(noticesTo(chat.port)),
    files: {
      hook: secret,
      [join('audit', segmentName(1))]: `${before.lines.join('\n')}\n`,
      // Not of us: what is young enough comes.
      [join('ship-state', 'notices-chat.json')]: '-',
    },
  });
  let killed: Promise<unknown> | undefined;
  const first = await startShip(t, daemon);
  chat.answer = (response) => {
    if (chat.ids.length === 2) {
      // It has left the process, and no answer comes before the end of it.
      killed = first.kill();
      return;
    }
    response.writeHead(204).end();
  };
  await until(() => killed !== undefined, 'the second notice');
  await killed;
  chat.answer = (response) => void response.writeHead(204).end();
  const second = await startShip(t, daemon);
  await until(
    () => chat.ids.length >= 5,
    () => `all: ${chat.ids.join()} ${second.output()}`,
  );
  assert.deepEqual(chat.ids, ['21', '22', '22', '23', '24']);
  const told = async () =>
    JSON.parse((await askHttp({ socketPath: daemon.path('admin.sock') }, '/status.json')).body);
  const metrics = async (): Promise<string> =>
    (await askHttp({ socketPath: daemon.path('admin.sock') }, '/metrics')).body;
  await until(
    async () => (await metrics()).includes('dovegate_notices_delivered_total{receiver="chat"} 3'),
    'the metrics of what was delivered',
  );
  const last = await metrics();
  assert.match(last, /^dovegate_notices_up\{receiver="chat"\} 1$/m);
  assert.match(last, /^dovegate_notices_lag_seconds\{receiver="chat"\} 0$/m);

  // Another process beside it is told nothing, and sends nothing. One that sends notices would send these again.
  const other = await startShip(t, daemon);
  await other.waitForLog(({ event }) => event === 'door-away', 'that it is refused');
  second.signal('SIGSTOP');
  writeFileSync(daemon.path(join('ship-state', 'notices-chat.json')), '-');
  assert.equal(chat.ids.length, 5);
  await second.kill();
  await until(() => chat.ids.length === 9, 'the other one takes over');
  await until(async () => (await told()).ship.connected === true, 'it is there');
  await other.stop();

  // The place is of before: all of them come again, to a receiver that takes none.
  writeFileSync(daemon.path(join('ship-state', 'notices-chat.json')), '-');
  chat.answer = (response) => void response.writeHead(500).end('<b>evil</b>');
  chmodSync(daemon.path('hook'), 0o644);
  const third = await startShip(t, daemon);
  const unsafe = await third.waitForLog(
    ({ event }) => event === 'secret-unsafe',
    'the secret that others can read',
  );
  assert.match(String(unsafe['text']), /hook can be read by every user/);
  await third.waitForLog(({ event }) => event === 'notices-away', 'the failing receiver');
  await until(async () => /^dovegate_notices_up\{receiver="chat"\} 0$/m.test(await metrics()), 'up is 0');
  const { body } = await askHttp({ socketPath: daemon.path('admin.sock') }, '/status.json');
  const { ship, problems } = JSON.parse(body);
  assert.equal(ship.notices[0].name, 'chat');
  assert.deepEqual([ship.notices[0].fault.code, ship.notices[0].fault.status], ['status', 500]);
  assert.match(
    problems.find(({ code }: { code: string }) => code === 'notices-away').text,
    /^The receiver of notices chat has taken none since \S+: it answers with an HTTP status that is no success \(500\)\.$/,
  );
  const shown = await runWarm(['status', '--config', 'dovegate.yaml'], { cwd: daemon.folder });
  assert.match(shown.stdout.toString(), /^NOTICES +STATE/m);
  assert.match(shown.stdout.toString(), /^chat +failed for \d+ s \(status 500\)/m);
  const doctor = await runWarm(['doctor', '--config', 'dovegate.yaml'], { cwd: daemon.folder });
  assert.match(doctor.stdout.toString(), /notices chat\b.*has failed for \d+ s/);
  assert.doesNotMatch(third.output() + body + shown.stdout.toString(), /evil/);

  // The process dies: nobody is told, and the gate says so at once; it is a problem once a restart takes less.
  await third.kill();
  let looks = 0;
  await until(async () => {
    looks += 1;
    return (await told()).ship.connected === false;
  }, 'it is gone');
  // One every 20 ms: within 5 s, or on a busy machine after as many answers of the gate.
  assert.ok(looks <= 250, `${looks} looks`);
  const { connected, notices } = (await told()).ship;
  assert.deepEqual([connected, notices], [false, []]);
  await daemon.waitForLog(({ event }) => event === 'ship-absent', 'nobody ships');
  const dead = await told();
  assert.deepEqual(
    // The journal is of another host, and the machine may be busy.
    dead.problems.flatMap(({ code, text }: { code: string; text: string }) =>
      code === 'audit-damaged' || code === 'loop-stalled' ? [] : [[code, text.split(':')[0]]],
    ),
    [['ship-absent', 'Receivers get nothing (chat)']],
  );
  await until(async () => !/^dovegate_notices_\w+\{/m.test(await metrics()), 'no metrics of what was told');
  assert.match(await metrics(), /^dovegate_audit_ship_up 0$/m);
  const gone = await runWarm(['status', '--config', 'dovegate.yaml'], { cwd: daemon.folder });
  assert.match(gone.stdout.toString(), /Receivers get nothing \(chat\): dovegate ship does not run/);
  const asked = await runWarm(['doctor', '--config', 'dovegate.yaml'], { cwd: daemon.folder });
  assert.match(asked.stdout.toString(), /\bship\b.*does not ask the daemon, so receivers get nothing/);
  assert.deepEqual(daemon.grepSecrets([secret.trim().slice(6)]), []);
});

/** What a process holds: descriptors by kind and file, threads. */
function heldBy({ pid, folder }: Daemon, isSeen: boolean): readonly string[] {
  const descriptors = (isSeen ? descriptorsOf(pid) : []).map((each) =>
    each
      .replace(folder, '')
      .replace(/\[\d+\]/, '')
      .replace(/\d{4,}/, 'N')
      .replaceAll(/dg-\w+/g, 'dg'),
  );
  const threads = /^Threads:\s+\d+$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[0] ?? '';
  return [...descriptors, threads].toSorted();
}

async function ask({ client }: Gateway): Promise<void> {
  const asking = await client();
  for (let at = 0; at < 20; at += 1) await asking.ask({ user: 'alice@example.org', fields: ['quota get'] });
  asking.close();
}

void test('the gate is the same with notices and without', { timeout: 600_000 }, async (t) => {
  const chat = await openChat(t);
  // Hostile, too: it never answers.
  chat.answer = () => undefined;
  const open = async (notices: string) => {
    const before = openDiskJournal(t);
    before.writeBodies(accessBody(Date.now() - 5000, usualRequest));
    const gateway = await openGateway(t, {
      audit: auditWith(', ship: [{ syslog: "127.0.0.1:1", ca: ca.pem }]'),
      more: settings(notices),
      files: {
        hook: secret,
        [join('audit', segmentName(1))]: `${before.lines.join('\n')}\n`,
        [join('ship-state', 'notices-chat.json')]: '-',
      },
    });
    const { daemon } = gateway;
    const ship = await startShip(t, daemon);
    await ask(gateway);
    await until(async () => {
      const { body } = await askHttp({ socketPath: daemon.path('admin.sock') }, '/status.json');
      return JSON.parse(body).ship.connected === true;
    }, 'it tells of itself');
    return { daemon, ship };
  };
  const both = [await open(''), await open(noticesTo(chat.port))];
  await until(() => chat.ids.length > 0, 'the notice');
  // What one of them does at a moment, as each second, ends; the other one may do it a moment later.
  const isSeen = seesDescriptors(t);
  let held = both.map(({ daemon }) => heldBy(daemon, isSeen));
  await until(
    () => {
      held = both.map(({ daemon }) => heldBy(daemon, isSeen));
      return JSON.stringify(held[0]) === JSON.stringify(held[1]);
    },
    () => `both hold the same: ${JSON.stringify(held)}`,
  );
  const seen = [];
  for (const { daemon, ship } of both) {
    const files = readdirSync(daemon.path('state'), { recursive: true }).map(String).toSorted();
    await ship.stop();
    await daemon.stop();
    const records = auditRecords(daemon).map(({ event, action }) => JSON.stringify([event, action]));
    seen.push({ files, records: records.filter((each) => !each.startsWith('["checkpoint"')) });
  }
  const [without, withThem] = seen;
  assert.deepEqual(withThem, without);
});
