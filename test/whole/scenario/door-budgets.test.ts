// Goal: a page that was taken over cannot make the gate work before its budget was asked. Phases: bodies that cannot be read, more of them
// than the bytes of a kind; a body that does not say how long it is; steps of access; streams that are opened again and again.
// What must not happen: a body that is read beyond the budget of its kind, a kind of call that takes from another.

import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { askDoor, generationOf } from '../../kit/gate/ask-door.js';
import type { Daemon } from '../../kit/gate/daemon.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { hash } from '../../kit/gate/tcp-gate.js';

/** How often each code was answered. */
async function codesOf(times: number, ask: () => Promise<string>): Promise<Map<string, number>> {
  const codes = new Map<string, number>();
  for (let at = 0; at < times; at += 1) {
    const code = await ask();
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  return codes;
}

/** Status of a stream, which is left at once; or of a call whose body comes in chunks. */
function statusOf(daemon: Daemon, path: string, method: string, body?: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'Transfer-Encoding': 'chunked' };
    const asked = request(
      { socketPath: daemon.path('door.sock'), path, method, headers, agent: false },
      (response) => {
        response.on('error', () => undefined);
        resolve(response.statusCode ?? 0);
        response.destroy();
      },
    );
    asked.on('error', reject).end(body);
  });
}

test('budgets come before the work, each kind has its own, and commands go on', async (t) => {
  const people = `ann: { password_hash: "${hash}", roles: [audit, operate, approve] }`;
  const { daemon, client } = await openGateway(t, {
    more: `admin: { unix: admin.sock, door: door.sock, page: { tcp: "127.0.0.1:1", approve: true, people: { ${people} } } }`,
  });
  const as = (role: string) => ({ person: 'ann', role, generation });
  const generation = await generationOf(daemon, t);

  // bounds.doorCallBytes, bounds.doorKibibyteMs
  await t.test('bytes, before they are parsed', async () => {
    // Small enough for the buffers of the socket: a refusal is read also where nothing of the body was.
    const bytes = 100 * 1024;
    const garbage = '['.repeat(bytes);
    const startMs = performance.now();
    const times = 3 * Math.ceil(bounds.doorCallBytes / bytes);
    const codes = await codesOf(times, async () => (await askDoor(daemon, '/record', garbage)).code);
    const refilled = (1024 * (performance.now() - startMs)) / bounds.doorKibibyteMs;
    const read = codes.get('malformed') ?? 0;
    assert.equal(read + (codes.get('busy') ?? 0), times, JSON.stringify([...codes]));
    assert.ok(read * bytes <= bounds.doorCallBytes + refilled + bytes, `${read} of ${times} were parsed`);
    const drain = { as: as('operate'), from: [], action: { kind: 'drain', backend: 'mail9' } };
    assert.equal((await askDoor(daemon, '/operate', drain)).status, 200, 'another kind has its own');
  });

  // bounds.httpAccessBytes
  await t.test('a brief call is brief, and says how long it is', async () => {
    const long = {
      as: as('operate'),
      from: [],
      action: { kind: 'drain', backend: 'x'.repeat(bounds.httpAccessBytes) },
    };
    const { status, text } = await askDoor(daemon, '/operate', long);
    assert.deepEqual([status, text], [413, 'the call is too long']);
    // bounds.doorBriefBytes
    const { status: any } = await askDoor(daemon, '/page', 'x'.repeat(bounds.doorBriefBytes + 1));
    assert.equal(any, 413);
    assert.equal(await statusOf(daemon, '/operate', 'POST', '{}'), 411);
  });

  // bounds.doorSteps, bounds.doorStepMs
  await t.test('steps of access, which may count mails at a backend', async () => {
    const approve = { as: as('approve'), from: [], step: 'approve', id: 'A' };
    const startMs = performance.now();
    const times = 3 * bounds.doorSteps;
    const codes = await codesOf(times, async () => (await askDoor(daemon, '/access', approve)).code);
    const spanMs = performance.now() - startMs;
    const taken = times - (codes.get('busy') ?? 0);
    assert.ok(taken <= bounds.doorSteps + spanMs / bounds.doorStepMs + 1, `${taken} within ${spanMs} ms`);
    assert.ok(taken >= bounds.doorSteps);
    assert.equal((await askDoor(daemon, '/access', { ...approve, step: 'list' })).status, 200, 'looks go on');
  });

  // bounds.doorStreamOpens, bounds.doorStreamMs
  await t.test('streams that are opened again and again', async () => {
    const startMs = performance.now();
    let opened = 0;
    const times = 3 * bounds.doorStreamOpens;
    for (let at = 0; at < times; at += 1)
      if ((await statusOf(daemon, '/settings', 'GET')) === 200) opened += 1;
    const spanMs = performance.now() - startMs;
    assert.ok(opened <= bounds.doorStreamOpens + spanMs / bounds.doorStreamMs + 1, `${opened} streams`);
    assert.ok(opened > 0);
  });

  const asking = await client();
  assert.equal((await asking.ask({ user: 'alice@example.org', fields: ['quota', 'get'] })).status, '+');
  asking.close();
});
