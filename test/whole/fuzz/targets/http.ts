// Both sides of the HTTP API, and what the page and its process ask: heads, bodies, and the texts in them.

import assert from 'node:assert/strict';
import { Registry } from 'prom-client';
import type * as z from 'zod';
import { createJsonEncoder, createRowsEncoder } from '../../../../src/doveadm/http-api/rows.js';
import { type DoorPage, doorCalls } from '../../../../src/gate/door/calls.js';
import { type ShipClaims, shipCalls } from '../../../../src/gate/door/ship.js';
import { findProblems } from '../../../../src/gate/now/problems.js';
import type { Running } from '../../../../src/gate/now/running.js';
import { createGauges } from '../../../../src/gate/telemetry/metrics.js';
import { createReadHttp } from '../../../../src/host/http/requests.js';
import { createRoutes, pathOf } from '../../../../src/host/http/routes.js';
import { foreignSource } from '../../../../src/host/http/source.js';
import { readerOf } from '../../../../src/host/values/fit.js';
import { endpoints } from '../../../../src/page/answers/endpoints.js';
import { readAuthorization } from '../../../../src/rules/keys/authorization.js';
import { healthy, pageTold, shipTold } from '../../../kit/gate/running.js';
import { pick, type Random, randomInteger, seededRandom } from '../../../kit/plain/chunkings.js';
import { doorMessages, extremes, shipMessage, withNumber } from '../../../kit/plain/door-messages.js';
import { listed } from '../../../kit/plain/listed.js';
import { createMemoryTransport } from '../../../kit/plain/memory-transport.js';
import { bytesOf, type Target } from '../campaign/target.js';
import { makeRequest, readStrictly, type Told, tell } from './head-subjects.js';
import { body, cells, checkBody, columnsOf, decode } from './http-subjects.js';

function made(count: number, make: (random: Random) => Buffer): Buffer[] {
  const random = seededRandom(7);
  return Array.from({ length: count }, () => make(random));
}

const jsonTokens = bytesOf([
  ...'[ ] { } : , [] {} "a" null true false 0 -1 1e400 01 \\u0000 \\ud83d \\n \\" \xc3\xa9 \xff \xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80'.split(
    ' ',
  ),
  ...listed('["doveadm",{},"t"]|"user":|"file":"|"__proto__":| |\n|\ufeff|[[[[[[[[[[|{"a":{"a":{"a":'),
  '9'.repeat(40),
]);

const requests: Target = {
  name: 'http-body',
  what: 'a client of the HTTP API: the commands in a body; JSON.parse takes what is taken, and each is judged',
  bytesMax: 2048,
  seeds: () => made(60, body),
  tokens: jsonTokens,
  make: body,
  run(chunks) {
    const whole = decode(chunks);
    checkBody(Buffer.concat(chunks), whole);
    if (whole.kind === 'bad') return `fault ${whole.text.replaceAll(/\d+/g, '0').slice(0, 60)}`;
    return JSON.stringify(whole);
  },
};

const rows: Target = {
  name: 'http-rows',
  what: 'a backend: replies that become JSON for clients of the HTTP API',
  bytesMax: 1024,
  seeds: () =>
    made(40, (random) => {
      const options = String.fromCharCode(randomInteger(random, 0, 255));
      // A raw LF, an escape of nothing and half a character end the reading.
      const sound = ['a', '4', '\t', '\x01t', '\x01n', '"', '\\', '\xc3\xa9'];
      const odd = random() < 0.2 ? [pick(random, cells)] : [];
      const row = Array.from({ length: randomInteger(random, 1, 20) }, () => pick(random, sound));
      return Buffer.from([options, ...row, ...odd, '\t'].join(''), 'latin1');
    }),
  tokens: bytesOf(cells),
  hasOptions: true,
  run(chunks, random) {
    const columns = columnsOf.slice(0, randomInteger(random, 0, 2));
    const isRows = random() < 0.8;
    const encoder = isRows ? createRowsEncoder(columns) : createJsonEncoder();
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    let begin = Buffer.concat(chunks.map((chunk) => encoder.push(chunk))).toString();
    let sent = Buffer.concat(chunks);
    // Most inputs end within a row, and would be refused at their end only.
    if (isRows && random() < 0.7) {
      const last = lastCells(sent, columns.length);
      begin += encoder.push(last).toString();
      sent = Buffer.concat([sent, last]);
    }
    const end = encoder.end();
    const cellsSent = countTabs(sent);
    const isAtEnd = sent.length === 0 || (columns.length > 0 && sent.at(-1) === 0x09);
    if (isRows) assert.equal(end !== undefined, isAtEnd && cellsSent % (columns.length || 1) === 0);
    // A byte becomes an escape of six at most, and a cell its key around it.
    assert.ok(begin.length + (end?.length ?? 0) <= 16 * bytes + 96);
    if (end === undefined) return 'fault no JSON';
    const read: unknown = JSON.parse(begin + end);
    if (isRows) assert.ok(Array.isArray(read) && read.length === cellsSent / (columns.length || 1));
    return begin + end;
  },
};

function countTabs(bytes: Buffer): number {
  return bytes.filter((byte) => byte === 0x09).length;
}

/** TABs that end the last row. */
function lastCells(bytes: Buffer, columns: number): Buffer {
  const missing = columns === 0 ? 0 : (columns - (countTabs(bytes) % columns)) % columns;
  return Buffer.alloc(missing === 0 && bytes.at(-1) !== 0x09 ? columns : missing, '\t');
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const readHttp = createReadHttp();

/** What is handed on is what a strict reader makes of the same bytes; it may be less, never more. */
async function readHeads(chunks: readonly Buffer[]): Promise<string> {
  const { transport, peer } = createMemoryTransport();
  const reader = readHttp(transport);
  const seen: (Told & { readonly isWhole: boolean })[] = [];
  let isOver = false;
  const isServing = (): boolean => !isOver;
  const serve = async (): Promise<void> => {
    for (;;) {
      const request = await reader.next();
      if (request === null || 'malformed' in request) return;
      const told = await tell(request);
      seen.push(told);
      if (!told.isWhole) return;
      await request.answer({ status: 200, headers: [], isLast: false }, Buffer.from('x'));
    }
  };
  void serve()
    .catch(() => undefined)
    .finally(() => {
      isOver = true;
      transport.close('peer-ended');
    });
  for (const chunk of chunks.length > 12
    ? [...chunks.slice(0, 11), Buffer.concat(chunks.slice(11))]
    : chunks) {
    peer.send(chunk);
    await turn();
  }
  peer.end();
  for (let turns = 0; turns < 200 && isServing(); turns += 1) {
    await turn();
  }
  assert.ok(!isServing(), 'it does not end');
  const { whole, cut } = readStrictly(Buffer.concat(chunks));
  for (const [at, { head, body: its, isWhole }] of seen.entries()) {
    const expected = whole[at] ?? (isWhole ? undefined : cut);
    assert.equal(head, expected?.head);
    if (isWhole) assert.equal(its, expected?.body);
    else assert.ok(expected?.body.startsWith(its));
  }
  // What is refused may depend on what was sent before the answer to the request before it.
  return '';
}

const heads: Target = {
  name: 'http-heads',
  isSlow: true,
  what: 'a client of the HTTP API: heads and the ends of bodies, compared with a strict reader',
  bytesMax: 4096,
  seeds: () => made(60, (random) => Buffer.from(makeRequest(random), 'latin1')),
  tokens: bytesOf(
    listed(
      '\r\n|\r\n\r\n|\n|\r| |:|\0|0\r\n\r\n|5;a=b\r\n|Host: gate\r\n|Content-Length: 5\r\n',
      'Transfer-Encoding: chunked\r\n|Connection: close\r\n|HTTP/1.1|HTTP/1.0|GET / HTTP/1.1\r\n',
      'Expect: 100-continue\r\n|Upgrade: h2c\r\n|Content-Length: 5, 5\r\n',
    ),
  ),
  make: (random) => Buffer.from(makeRequest(random), 'latin1'),
  run: readHeads,
};

const parsePageCall = readerOf(doorCalls.page.asks);
const parseShipClaims = readerOf(shipCalls.shipped.asks);
const calls = [...Object.values(doorCalls), shipCalls.shipped].map(({ asks }) => readerOf<z.ZodType>(asks));
const doorSeeds = [...doorMessages(3).map(([, message]) => message), shipMessage].flatMap((message) => [
  message,
  ...extremes.flatMap((extreme) => withNumber(message, extreme).map(({ message: changed }) => changed)),
]);

/** Each number that was taken can be a time, a count or a place of something. */
function assertInRange(value: unknown): void {
  if (typeof value === 'number') assert.ok(Math.abs(value) <= Number.MAX_SAFE_INTEGER, String(value));
  else if (typeof value === 'object' && value !== null) Object.values(value).forEach(assertInRange);
}

/** What the gate makes of what the page told: sentences and metrics. */
function assertShown({ certificates, people }: DoorPage): void {
  const running: Running = {
    ...healthy,
    certificates: certificates.map(({ leftMs }) => ({ role: 'listener', name: 'page', leftMs })),
    page: { told: { ...pageTold, people } },
  };
  findProblems(running);
  setGauges(running);
}

/** And of what is said of receivers. */
function assertShipShown({ sinks, notices, certificates, problem }: ShipClaims): void {
  const told = notices.map(({ fault, ...each }) => ({ ...each, fault: fault && { ...fault, why } }));
  const running: Running = {
    ...healthy,
    certificates,
    sinks: sinks.map(({ fault, ...sink }) => ({
      ...sink,
      lagRecords: sink.sentSeq,
      lagMs: 0,
      safeSeq: sink.safe?.seq ?? 0,
      fault: fault && { ...fault, why },
    })),
    ship: { ...shipTold, problem, notices: told },
  };
  findProblems(running);
  setGauges(running);
}

const why = ['it'] as const;
const setGauges = createGauges(new Registry(), (text) => assert.fail(text));

/** Objects of the language must not be changed by any text. */
function assertNoPollution(): void {
  assert.equal(Reflect.get({}, 'polluted'), undefined);
}

const door: Target = {
  name: 'door',
  isWhole: true,
  what: "the page's process and dovegate ship: their calls to the daemon, by somebody who took one over",
  bytesMax: 2048,
  seeds: () => doorSeeds.map((seed) => Buffer.from(JSON.stringify(seed))),
  tokens: [
    ...jsonTokens,
    ...bytesOf([
      ...listed('"as":|"from":["address=::1"]|"rows":1|"role":"view"|"secret"|"__proto__":{"polluted":1},'),
      ...extremes.map(String),
    ]),
  ],
  run(chunks) {
    const text = Buffer.concat(chunks).toString();
    const answers = calls.map((parse) => {
      const parsed = parse(text);
      assertInRange(parsed);
      return typeof parsed === 'string' ? parsed : (JSON.stringify(parsed) ?? '');
    });
    const page = parsePageCall(text);
    if (typeof page !== 'string') assertShown(page);
    const claims = parseShipClaims(text);
    if (typeof claims !== 'string') assertShipShown(claims);
    assertNoPollution();
    // What was taken is taken again as it is.
    for (const [at, answer] of answers.entries())
      if (answer.startsWith('{')) assert.equal(JSON.stringify(calls[at]?.(answer)), answer);
    return answers.join('\n');
  },
  kind: (answer) => answer.replaceAll(/\{.*/g, '{').replaceAll(/"[^"]*"|\d+/g, ''),
};

const pageSeeds = [
  { filter: { user: 'alice', sinceMs: 0, text: 'x' }, cursor: { after: 3, open: [1, 2] } },
  { filter: {}, newest: { before: 5, rows: 10 } },
  { filter: { id: 'E1', policy: 'p' }, as: 'csv' },
  { wanted: 'E1-2' },
  { listener: 'support', words: ['mailbox', 'list', '*'], user: 'alice', uid: 5, reason: 'r' },
  { listener: 'support', json: '[["who",{},"t"]]' },
];

const pageBodies: Target = {
  name: 'page-bodies',
  isWhole: true,
  what: 'the browser, and people at the socket of the page: looks at the journal, and questions to policies',
  bytesMax: 2048,
  seeds: () => pageSeeds.map((seed) => Buffer.from(JSON.stringify(seed))),
  tokens: [
    ...jsonTokens,
    ...bytesOf(
      listed(
        '"filter":|"cursor":|"after":|"open":[1]|"newest":|"as":"json"|"words":',
        '"__proto__":{"polluted":1},',
      ),
    ),
  ],
  run(chunks) {
    const text = Buffer.concat(chunks).toString();
    const answers = Object.values(endpoints).map(({ asks }) => readerOf<z.ZodType>(asks)(text));
    assertNoPollution();
    return answers
      .map((answer) => (typeof answer === 'string' ? answer : (JSON.stringify(answer) ?? '')))
      .join('\n');
  },
  kind: (answer) => answer.replaceAll(/\{.*/g, '{').replaceAll(/"[^"]*"|\d+/g, ''),
};

const routes = createRoutes(Object.entries(endpoints).map(([name, { route }]) => [route, name] as const));

const pageHeads: Target = {
  name: 'page-heads',
  isWhole: true,
  what: 'the browser: targets, Host, Origin and Authorization of requests, a line each',
  bytesMax: 1024,
  seeds: () =>
    bytesOf([
      ...Object.values(endpoints).map(
        ({ route }) => `${route}\ngate.example.com:8443\nhttps://gate.example.com:8443\n`,
      ),
      'POST /api/kill/%45%ff\n[::1]:80\nnull\nBasic YWxpY2U6c2VjcmV0',
      'GET /api/now?x=1\nlocalhost\nhttp://localhost\nX-Dovecot-API a2V5',
      'GET /\n192.0.2.7\n\nBearer dvg_0123456789abcdef0123456789abcdef',
    ]),
  tokens: bytesOf(
    listed(
      'GET |POST |/api/|:|%2f|%|%00|%C3%A9|?|//|\n|[::1]|127.0.0.1|localhost|Basic |Bearer ',
      'X-Dovecot-API |Og==|dvg_|null|https://|gate.example.com',
    ),
  ),
  run(chunks) {
    const [line = '', host, origin, authorization] = Buffer.concat(chunks).toString('latin1').split('\n');
    const [method = '', ...target] = line.split(' ');
    const found = routes(method, pathOf({ url: target.join(' ') }));
    if (found?.kind === 'found')
      for (const param of found.params) assert.ok(param !== '' && param.length <= 512);
    const place = { hasTls: true, isOwnName: (name: string) => name === 'gate.example.com' };
    const foreign = foreignSource(place, host, origin === '' ? undefined : origin);
    if (foreign === undefined && origin !== undefined && origin !== '')
      assert.equal(origin, `https://${host?.toLowerCase() ?? ''}`);
    return JSON.stringify([found, foreign, readAuthorization(authorization)]);
  },
  kind: (answer) =>
    answer.replaceAll(/"params":\[[^\]]*\]|"(?:text|name|password)":"(?:[^"\\]|\\.)*"|\d+/g, ''),
};

export const httpTargets: readonly Target[] = [requests, rows, heads, door, pageBodies, pageHeads];
