// Goal: what takes a right away works at once, however much was asked before, by each way: a socket, a key of HTTP, the page, the admin
// socket. Phases: looks until they are refused, then the end; ends that end nothing, in hundreds, beside the end of somebody else.
// What must not happen: an end that is refused for a rate, and a record for each of those that ended nothing.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { request as askNode } from 'node:http';
import { test } from 'node:test';
import type { AccessItem } from '../../../src/gate/access/access-item.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { hashKey, keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import type { Daemon } from '../../kit/gate/daemon.js';
import { auditRecords, openGateway } from '../../kit/gate/gateway.js';
import { askPageAt, signIn } from '../../kit/gate/page-client.js';
import { hash, password } from '../../kit/gate/tcp-gate.js';
import { askHttp } from '../../kit/plain/ask-http.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { until } from '../../kit/plain/until.js';

const policies = `
    users: ["*@example.org"]
    allow: [quota get]
    on_request: [{ command: mailbox list, approvals: 1, for: 1h }]
    requests: { open: 10 }
  leads:
    users: ["*@example.org"]
    allow: [mailbox list]
    approve: [support]`;

async function openStage(t: Parameters<typeof openGateway>[0]) {
  const [port = 0, pagePort = 0] = await freePorts(2);
  const people = ['anna', 'carol', 'dave'] as const;
  const keys = new Map(people.map((name) => [name, makeKey(randomBytes(keyBytes))]));
  const keyLines = [...keys].map(
    ([name, key]) =>
      `\n      ${name}: { hash: "${hashKey(key)}", policy: ${name === 'anna' ? 'support' : 'leads'} }`,
  );
  const gateway = await openGateway(t, {
    listeners: `
  support: { unix: support.sock, mode: "0600", policy: support }
  panel:
    tcp: "127.0.0.1:${port}"
    protocol: http
    tls: { mode: off }
    keys:${keyLines.join('')}`,
    policy: policies,
    more: `persons: { anna: { keys: [anna] }, carol: { keys: [carol] }, dave: { keys: [dave] }, erin: { page: [erin] } }
admin:
  unix: admin.sock
  door: door.sock
  page:
    tcp: 127.0.0.1:${pagePort}
    approve: true
    people: { erin: { password_hash: "${hash}", roles: [approve, operate] } }
`,
  });
  const { daemon } = gateway;
  /** A step over HTTP, or at the page. */
  const step = async (who: (typeof people)[number], verb: string, body: unknown) => {
    const answered = await fetch(`http://127.0.0.1:${port}/dovegate/v1/${verb}`, {
      method: 'POST',
      headers: { Authorization: `X-Dovecot-API ${Buffer.from(keys.get(who) ?? '').toString('base64')}` },
      body: JSON.stringify(body),
    });
    return {
      status: answered.status,
      code: answered.headers.get('dovegate-code'),
      body: await answered.text(),
    };
  };
  const requested = async (): Promise<string> => {
    const { status, body } = await step('anna', 'request', {
      users: ['bob@example.org'],
      reason: 'x',
      command: ['mailbox list'],
    });
    assert.equal(status, 200, body);
    const item: AccessItem = JSON.parse(body);
    return item.id;
  };
  const token = await signIn(pagePort, 'erin', password);
  const atPage = (method: 'GET' | 'POST', path: string, body?: unknown) =>
    askPageAt(pagePort, method, path, { token, ...(body !== undefined && { body }) });
  return { ...gateway, daemon, step, requested, atPage };
}

/** A POST to the admin socket, on a connection of its own. */
function change(daemon: Daemon, path: string): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const asked = askNode(
      { socketPath: daemon.path('admin.sock'), method: 'POST', path, agent: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (piece: string) => {
          text += piece;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      },
    );
    asked.on('error', reject).end();
  });
}

/** Asks at most so often, until the answer is a refusal for a rate. */
async function untilRefused(most: number, ask: () => Promise<boolean>): Promise<void> {
  for (let at = 0; at < most; at += 1) if (await ask()) return;
  assert.fail(`${most} looks were answered`);
}

/** While the page goes on asking after more looks than the door answers at once: those that are too early wait. */
async function besideLooks(ask: () => Promise<unknown>, act: () => Promise<void>): Promise<void> {
  const over = new AbortController();
  let answered = 0;
  const looks = Array.from({ length: 8 }, async () => {
    while (!over.signal.aborted) {
      await ask();
      answered += 1;
    }
  });
  await until(() => answered > bounds.doorLists, 'more looks than are answered at once');
  await act().finally(() => over.abort());
  await Promise.all(looks);
}

test('by each way, an end works after more looks than are answered', async (t) => {
  const { step, requested, atPage, daemon, client } = await openStage(t);
  const ids: string[] = [];
  for (let at = 0; at < 7; at += 1) ids.push(await requested());
  const [byKey = '', refusedByKey = '', approved = '', atThePage = '', refusedThere = '', atAdmin = ''] = ids;

  await t.test('a key of HTTP', async () => {
    await untilRefused(
      10 * bounds.questions,
      async () => (await step('carol', 'requests', {})).code === 'over-limit',
    );
    assert.equal((await step('carol', 'approve', { id: approved })).status, 200);
    assert.equal((await step('carol', 'revoke', { id: approved })).status, 200);
    assert.equal((await step('carol', 'revoke', { id: byKey })).status, 200);
    assert.equal((await step('carol', 'refuse', { id: refusedByKey, reason: 'no' })).status, 200);
  });

  await t.test('a socket', async () => {
    const socket = await client();
    const ask = (...fields: string[]) => socket.ask({ user: '', fields });
    const wish = ['-u', 'bob@example.org', '--reason', 'x', '--', 'mailbox list'];
    const { status, cells } = await ask('dovegate request', ...wish);
    assert.equal(status, '+');
    const { id }: AccessItem = JSON.parse(cells[1] ?? '');
    await untilRefused(10 * bounds.questions, async () => (await ask('dovegate requests')).status !== '+');
    assert.equal((await ask('dovegate revoke', id)).status, '+');
    socket.close();
  });

  await t.test('the page', async () => {
    await besideLooks(
      () => atPage('GET', '/api/approvals'),
      async () => {
        const revoked = await atPage('POST', `/api/approvals/${atThePage}/revoke`, {});
        assert.equal(revoked.status, 200, revoked.body);
        const refused = await atPage('POST', `/api/approvals/${refusedThere}/refuse`, { reason: 'no' });
        assert.equal(refused.status, 200, refused.body);
      },
    );
  });

  await t.test('the admin socket', async () => {
    const place = { socketPath: daemon.path('admin.sock') };
    for (let at = 0; at < 30; at += 1)
      await Promise.all(Array.from({ length: 10 }, () => askHttp(place, '/status')));
    assert.equal((await change(daemon, `/access/${atAdmin}/revoke`)).status, 200);
    assert.equal((await change(daemon, '/backend/mail1/drain')).status, 200);
    assert.equal((await change(daemon, '/reload')).status, 200);
  });
});

test('ends that end nothing are counted, and hold up nobody', async (t) => {
  const { step, requested, atPage, daemon } = await openStage(t);
  const [one, other] = [await requested(), await requested()];
  const before = auditRecords(daemon).length;
  const startMs = performance.now();
  const codes = new Set<string>();
  const over = new AbortController();
  const flood = Array.from({ length: 8 }, async () => {
    while (!over.signal.aborted) codes.add((await step('carol', 'revoke', { id: 'X' })).code ?? '');
  });
  await until(() => codes.has('over-limit'), 'the limit');
  const tookMs: number[] = [];
  for (const end of [
    () => step('dave', 'revoke', { id: one }),
    () => step('carol', 'refuse', { id: other, reason: 'no' }),
  ]) {
    const fromMs = performance.now();
    assert.equal((await end()).status, 200);
    tookMs.push(performance.now() - fromMs);
  }
  over.abort();
  await Promise.all(flood);
  t.diagnostic(`ends beside the flood: ${tookMs.map((ms) => `${Math.round(ms)} ms`).join(', ')}`);
  assert.deepEqual(codes, new Set(['access-unknown', 'over-limit']));

  // A command that does not run, a request that is over.
  assert.equal((await atPage('POST', '/api/backend/mail1/drain', {})).status, 200);
  const pointless = ['/api/kill/X', `/api/approvals/${one}/revoke`];
  let asked = 0;
  await besideLooks(
    () => atPage('POST', pointless[(asked += 1) % pointless.length] ?? '', {}),
    async () => assert.equal((await atPage('POST', '/api/backend/mail1/enable', {})).status, 200),
  );
  const drained = (await atPage('POST', '/api/backend/mail1/drain', {})).status;
  assert.equal(drained, 200, 'it ends something again');
  assert.match(
    (await change(daemon, '/backend/mail1/drain')).text,
    /^mail1 is drained already, by erin since /,
  );
  const seconds = Math.ceil((performance.now() - startMs) / 1000);
  await daemon.stop();
  const records = auditRecords(daemon).slice(before);
  const drains = new Set(records.flatMap(({ action, deed }) => (action === 'drain' ? [deed] : [])));
  assert.equal(drains.size, 2, 'a record for each time that it went out of service');
  const questions = records.filter(({ command }) => command === 'dovegate revoke').length;
  // Those that ended something have theirs, too: dave's, and the one at the page.
  const most = 2 * (bounds.floodBurst + bounds.floodPerSecond * (seconds + 1) + 2);
  assert.ok(questions <= most, `${questions} records in ${seconds} s`);
});
