// Requests at the socket of the page: half requests keep no place from anybody, and those who send them and go are no fault of ours.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connectionsMax, openAdmin } from '../../../src/adapters/admin/admin.js';
import { createPageDoor, type PersonalRequest } from '../../../src/adapters/admin/page-door.js';
import { plainAnswer } from '../../../src/adapters/admin/pages.js';
import { systemClock } from '../../../src/adapters/host/clock.js';
import { bindUnix } from '../../../src/adapters/net/listen.js';
import { bounds } from '../../../src/bounds/bounds.js';
import { askedBytesMax } from '../../../src/domain/views/look.js';
import { openFolder } from '../../kit/folder.js';
import { healthy } from './snapshots.js';

async function open(t: TestContext, bodyBytesMax = 10) {
  const path = join(openFolder(t), 'page.sock');
  const place = { path, mode: 0o600, uid: undefined, gid: undefined };
  const errors: string[] = [];
  const onError = (text: string): void => void errors.push(text);
  const asked: PersonalRequest[] = [];
  const begun: string[] = [];
  const door = createPageDoor({
    bodyBytesMax,
    whoIs() {
      begun.push('alice');
      return Promise.resolve({ by: 'alice' });
    },
    answer(each) {
      asked.push(each);
      return Promise.resolve(plainAnswer(200, `got ${each.body}`));
    },
  });
  const nobody = (): never => assert.fail('asked of the page');
  const admin = await openAdmin({
    clock: systemClock,
    snapshot: () => healthy,
    metrics: nobody,
    flushed: nobody,
    act: nobody,
    whoIs: nobody,
    onError,
    onRefused: nobody,
    doors: [{ door: { kind: 'unix' }, bind: (server) => bindUnix(server, place, onError), answer: door }],
  });
  t.after(() => admin.close());
  /** Until so many requests have begun. */
  const hasBegun = async (count: number): Promise<void> => {
    while (begun.length !== count) await systemClock.nextTurn();
  };
  return { path, errors, asked, hasBegun };
}

function ask(socketPath: string, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, method: 'POST', path: '/x', agent: false }, (response) => {
      let text = `${response.statusCode} `;
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      response.on('end', () => resolve(text.trimEnd()));
    });
    sent.on('error', reject).end(body);
  });
}

async function sendHalf(path: string): Promise<Socket> {
  const socket = connect(path);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write('POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf');
  return socket;
}

test('half requests from as many connections as there may be keep nobody out, and are no fault when they end', async (t) => {
  const { path, errors, asked, hasBegun } = await open(t);
  const half = await Promise.all(Array.from({ length: connectionsMax }, () => sendHalf(path)));
  await hasBegun(connectionsMax);
  assert.equal(await ask(path, 'one'), '200 got one');
  assert.equal(await ask(path, 'x'.repeat(11)), '413 a request has at most 10 bytes');
  for (const each of half) each.destroy();
  assert.equal(await ask(path, 'two'), '200 got two');
  await systemClock.nextTurn();
  assert.deepEqual(errors, []);
  assert.deepEqual(
    asked.map(({ body }) => body),
    ['one', 'two'],
  );
});

// bounds.lookBodyBytes
test('the longest body is taken whole, and a longer one is refused', async (t) => {
  const { path, asked } = await open(t, askedBytesMax);
  assert.match(await ask(path, 'x'.repeat(bounds.lookBodyBytes)), /^200 /);
  assert.match(await ask(path, 'x'.repeat(bounds.lookBodyBytes + 1)), /^413 /);
  assert.deepEqual(
    asked.map(({ body }) => body.length),
    [bounds.lookBodyBytes],
  );
});

void test('a command for the admin socket is told which socket this is', async (t) => {
  const { path, asked } = await open(t);
  const answer = await new Promise<string>((resolve, reject) => {
    const sent = request({ socketPath: path, path: '/status.json', agent: false }, (response) => {
      let text = `${response.statusCode} `;
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      response.on('end', () => resolve(text));
    });
    sent.on('error', reject).end();
  });
  assert.match(
    answer,
    /^405 this is the page's socket: .*`dovegate page open`; status, .* as root, or by sudo/,
  );
  assert.deepEqual(asked, []);
});
