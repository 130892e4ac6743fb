// Requests at the socket of the page: half requests keep no place from anybody, and those who send them and go are no fault of ours.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { askedBytesMax } from '../../../src/evidence/views/look.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { openHttpServer, plainAnswer } from '../../../src/host/http/server.js';
import { systemClock } from '../../../src/host/machine/clock.js';
import { bindUnix } from '../../../src/host/net/listen.js';
import type { Clock } from '../../../src/host/ports/machine.js';
import {
  createPeopleSocket,
  type PersonalRequest,
  peopleSocketLimits,
} from '../../../src/page/http/people-socket.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';
import { openFolder } from '../../kit/plain/folder.js';
import { until } from '../../kit/plain/until.js';

const connectionsMax = bounds.adminConnections;

async function open(
  t: TestContext,
  more: { bodyBytesMax?: number; clock?: Clock; pieces?: AsyncIterable<string> } = {},
) {
  const { bodyBytesMax = 10, clock = systemClock, pieces } = more;
  const path = join(openFolder(t), 'page.sock');
  const place = { path, mode: 0o600, uid: undefined, gid: undefined };
  const errors: string[] = [];
  const onError = (text: string): void => void errors.push(text);
  const asked: PersonalRequest[] = [];
  const begun: string[] = [];
  const answer = createPeopleSocket({
    bodyBytesMax,
    whoIs() {
      begun.push('alice');
      return Promise.resolve({ uid: 5, user: 'alice' });
    },
    answer(each) {
      asked.push(each);
      const answered = plainAnswer(200, `got ${each.body}`);
      return Promise.resolve(pieces === undefined ? answered : { ...answered, pieces });
    },
  });
  const server = await openHttpServer({
    clock,
    limits: peopleSocketLimits,
    bind: (acceptor) => bindUnix(acceptor, place, onError),
    headers: {},
    refusal: plainAnswer,
    answer,
    onError,
  });
  t.after(() => server.close());
  /** Until so many requests have begun. */
  const hasBegun = async (count: number): Promise<void> => {
    while (begun.length !== count) await systemClock.nextTurn();
  };
  return { path, errors, asked, hasBegun };
}

function ask(socketPath: string, body: string, path = '/x', method = 'POST'): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, method, path, agent: false }, (response) => {
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
  assert.equal(asked.map(({ body }) => body).join(' '), 'one two');
});

test('the longest body is taken whole, and a longer one is refused', async (t) => {
  const { path, asked } = await open(t, { bodyBytesMax: askedBytesMax });
  assert.match(await ask(path, 'x'.repeat(64 * 1024)), /^200 /);
  assert.match(await ask(path, 'x'.repeat(64 * 1024 + 1)), /^413 /);
  assert.deepEqual([asked.length, asked[0]?.body.length], [1, 64 * 1024]);
});

void test('a command for the admin socket is told which socket this is', async (t) => {
  const { path, asked } = await open(t);
  const answer = await ask(path, '', '/status.json', 'GET');
  const why = /^405 this is the page's socket: .*`dovegate page open`; status, .* as root, or by sudo/;
  assert.match(answer, why);
  assert.deepEqual(asked, []);
});

// bounds.adminUnreadMs
test('an answer in pieces that nobody reads is ended after half a minute', async (t) => {
  const clock = createFakeClock();
  let isOver = false;
  let made = 0;
  async function* pieces(): AsyncGenerator<string> {
    try {
      for (; ; made += 1) yield await Promise.resolve('x'.repeat(65_536));
    } finally {
      isOver = true;
    }
  }
  const { path } = await open(t, { clock, pieces: pieces() });
  const socket = connect({ path });
  t.after(() => socket.destroy());
  socket.pause();
  socket.write('POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n');
  await once(socket, 'connect');
  // Before the first piece it is the timer of the request.
  await until(() => made > 0 && clock.timers === 1, 'the timer of an answer that is not read');
  await clock.advance(bounds.adminUnreadMs - 1);
  await settle();
  assert.equal(isOver, false);
  await clock.advance(1);
  await until(() => isOver, 'the end of the answer');
});
