// Asking the daemon: the token goes along, refusals are sentences, a session that ended leads to the sign-in, a cut answer is none.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AskFault, createApi, type RequestOptions } from '../../../src/page/web/api.js';

interface Asked {
  readonly address: string;
  readonly options: RequestOptions;
}

function stage(answer: () => Response | Promise<Response>, tokens: (string | undefined)[] = ['T']) {
  const asked: Asked[] = [];
  const signedOut: string[] = [];
  let at = 0;
  const api = createApi({
    request: async (address, options) => {
      asked.push({ address, options });
      return answer();
    },
    token: () => tokens[Math.min(at++, tokens.length - 1)],
    onSignedOut: (text) => signedOut.push(text),
  });
  return { api, asked, signedOut };
}

const json = (status: number, value: unknown) => () => new Response(JSON.stringify(value), { status });

async function textOfFault(asking: Promise<unknown>): Promise<string> {
  const fault = await asking.then(
    () => new Error('it was answered'),
    (error: unknown) => error,
  );
  assert.ok(fault instanceof AskFault, String(fault));
  return `${fault.status} ${fault.message}`;
}

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const value of values) found.push(value);
  return found;
}

void test('a request has the token, no cookie, and follows no redirect', async () => {
  const { api, asked } = stage(json(200, { text: 'It is being ended.' }));
  const answer = await api.json('POST /api/kill/:id', { params: ['a/b'], body: { x: 1 } });
  assert.deepEqual(answer, { text: 'It is being ended.' });
  assert.equal(asked[0]?.address, '/api/kill/a%2Fb');
  assert.deepEqual(asked[0].options, {
    method: 'POST',
    headers: { authorization: 'Bearer T', 'content-type': 'application/json' },
    body: '{"x":1}',
    cache: 'no-store',
    credentials: 'omit',
    redirect: 'error',
  });
});

void test('before a session there is no token, and 401 is only a sentence', async () => {
  const { api, asked, signedOut } = stage(json(401, { text: 'wrong password' }), [undefined]);
  assert.equal(await textOfFault(api.json('POST /api/login')), '401 wrong password');
  assert.deepEqual(asked[0]?.options.headers, { 'content-type': 'application/json' });
  assert.deepEqual(signedOut, []);
});

void test('401 with a token ends the session, but not one that began meanwhile', async () => {
  const ended = stage(json(401, { text: 'The session has ended.' }));
  await textOfFault(ended.api.json('GET /api/me'));
  assert.deepEqual(ended.signedOut, ['The session has ended.']);
  const newer = stage(json(401, { text: 'The session has ended.' }), ['old', 'new']);
  await textOfFault(newer.api.json('GET /api/me'));
  assert.deepEqual(newer.signedOut, []);
});

void test('a link that is no good ends no session', async () => {
  const { api, signedOut } = stage(json(401, { text: 'this link was used already' }));
  assert.equal(await textOfFault(api.json('POST /api/redeem')), '401 this link was used already');
  assert.equal(await textOfFault(api.json('POST /api/login')), '401 this link was used already');
  assert.deepEqual(signedOut, []);
});

void test('what is no sentence of dovegate is not shown', async () => {
  const { api } = stage(() => new Response('<h1>Bad gateway</h1>', { status: 502 }));
  assert.match(await textOfFault(api.json('GET /api/me')), /^502 The answer has status 502/);
});

void test('no answer is a sentence that says what to do', async () => {
  const { api } = stage(() => Promise.reject(new TypeError('Failed to fetch')));
  const why = /^0 The process of the page does not answer.*systemctl status dovegate-page/;
  assert.match(await textOfFault(api.json('GET /api/me')), why);
});

void test('lines come one by one, and an answer that broke off is not taken for a whole one', async () => {
  const whole = stage(() => new Response('{"seq":2}\n{"seq":1}\n'));
  assert.deepEqual(await all(whole.api.lines('POST /api/trail/search')), [{ seq: 2 }, { seq: 1 }]);
  const cutOff = stage(() => new Response('{"seq":2}\n{"seq":1}'));
  assert.match(await textOfFault(all(cutOff.api.lines('POST /api/trail/search'))), /^0 The answer broke off/);
});

void test('events are whole wherever their bytes were cut; one that is not ended is none', async () => {
  const bytes = new TextEncoder().encode(
    ': hello\n\nevent: snapshot\ndata: {"a":\ndata: 1}\n\ndata:ü日😀\n\nevent: change\ndata: cut',
  );
  for (let at = 1; at < bytes.length; at += 1) {
    const start = (controller: ReadableStreamDefaultController): void => {
      for (const piece of [bytes.slice(0, at), bytes.slice(at)]) controller.enqueue(piece);
      controller.close();
    };
    const { api } = stage(() => new Response(new ReadableStream({ start })));
    assert.deepEqual(await all(api.events('GET /api/now')), [
      { name: 'snapshot', data: '{"a":\n1}' },
      { name: 'message', data: 'ü日😀' },
    ]);
  }
});

void test('who stops reading cancels the answer', async () => {
  let isCancelled = false;
  const body = new ReadableStream({
    start: (controller) => controller.enqueue(new TextEncoder().encode('data: 1\n\n')),
    cancel: () => void (isCancelled = true),
  });
  const { api } = stage(() => new Response(body));
  for await (const event of api.events('GET /api/now')) {
    assert.equal(event.data, '1');
    break;
  }
  assert.ok(isCancelled);
});
