// Goal: what known programs send over the HTTP API has the same result in front of a real Dovecot with the gate and without it, read as
// they read it, with the policy that docs/client-http.md gives for each; and what policy refuses is to each of them the refusal that it is.
// What must not happen: an answer that a program cannot read; one that it takes for success.
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { parse } from 'yaml';
import { z } from 'zod';
import type { Daemon } from '../../kit/gate/daemon.js';
import { openLab } from '../../kit/plain/dovecot-lab.js';
import { type ClientRequest, type HttpClientVector, httpClients } from '../../kit/plain/http-vectors.js';
import { askRaw, authorizationOf, encodePost, type HttpAnswer, HttpCut } from '../../kit/plain/raw-http.js';
import { readPage } from '../cli/docs-page.js';
import { fencesOf } from '../cli/docs-steps.js';
import { openHttpGateway, openKeysGateway } from './http-gateway.js';
import { onDovecot } from './real-gateway.js';

/** Two users with the same mails: one for each way. The requests say alice. */
const twins = { direct: 'victim@example.org', gate: 'bob@example.org' };
const colleague = 'alice@example.org';
/** Another server, and what stands for it here. */
const replica = 'tcp:mail2.example.org:12345';
const replicaHere = 'maildir:~/replica';
const labKey = 'panel-key-of-dovecot';

/** What a program makes of an answer. */
type Outcome =
  | { readonly kind: 'done'; readonly data: unknown }
  | { readonly kind: 'failed'; readonly type: unknown; readonly exitCode: unknown }
  /** It takes the key for wrong. */
  | { readonly kind: 'key-refused' }
  /** It cannot make anything of it. */
  | { readonly kind: 'unreadable'; readonly why: string };

onDovecot('known programs in front of it, with the gate and without it', openLab, async (t, lab) => {
  await lab.writeExtraConf(`doveadm_api_key = ${labKey}\n`);
  const policies = policiesOfPage();
  const { port, keys, gateway } = await openKeysGateway(t, lab, policies);
  const different: string[] = [];
  let asked = 0;
  for (const client of httpClients()) {
    const key = keys.get(client.client);
    assert.ok(key !== undefined, `docs/client-http.md has no policy for ${client.client}`);
    const own = client.authorization === 'password' ? lab.password : labKey;
    for (const request of client.requests) {
      const isElsewhere = request.only24 === true && lab.series !== '2.4';
      if (request.method === 'GET' || request.refusedOnly === true || isElsewhere) continue;
      const direct = await outcomeOf(client, request, lab.httpPort, own, twins.direct);
      const atGate = () => outcomeOf(client, request, port, key, twins.gate);
      const gated = await outcomeAtGate(gateway.daemon, atGate);
      const title = `${client.client}, ${request.name}: ${JSON.stringify([direct, gated])}`;
      if (direct.kind !== 'key-refused') assert.notEqual(gated.kind, 'key-refused', title);
      if (direct.kind !== 'unreadable') assert.notEqual(gated.kind, 'unreadable', title);
      if (request.unlike === undefined && !isDeepStrictEqual(alike(gated, request), alike(direct, request)))
        different.push(title);
      asked += 1;
    }
    const get = `GET /doveadm/v1 HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorizationOf.key(key)}\r\nConnection: close\r\n\r\n`;
    const list = arrayOf((await askRaw({ port }, get)).body);
    // An empty one is a fault to mailserver-admin.
    assert.ok(list !== undefined && list.length > 0, client.client);
  }
  await gateway.finish();
  assert.deepEqual(different, []);
  t.diagnostic(`Dovecot ${lab.version}: ${asked} requests of ${httpClients().length} programs`);
  assert.ok(asked > 35);
});

onDovecot('what policy refuses, as known programs read it', openLab, async (t, lab) => {
  const policy = ' { users: ["*@example.net"], allow: [quota get] }';
  const { port, key, gateway } = await openHttpGateway(t, lab, policy);
  for (const client of httpClients()) {
    for (const request of client.requests) {
      if (request.method === 'GET' || request.body === undefined) continue;
      const outcome = await outcomeOf(client, request, port, key, twins.gate);
      const title = `${client.client}, ${request.name}: ${JSON.stringify(outcome)}`;
      // A request without a tag is 400 to every Dovecot too.
      if (request.name === 'no tag') assert.equal(outcome.kind, 'key-refused', title);
      else assert.equal(outcome.kind, 'failed', title);
    }
    const post = client.requests.find(({ body }) => body !== undefined) ?? assert.fail();
    const wrong = await outcomeOf(client, post, port, `${key}x`, twins.gate);
    assert.ok(['key-refused', 'unreadable'].includes(wrong.kind), client.client);
  }
  for (const record of await gateway.finish()) assert.notEqual(record['sent'], true);
});

/**
 * Asked again where the backend was down, when it is up: a request before this one reloads Dovecot, which may end connections twice. A
 * TEMPFAIL of anything else fails here, with all that the gate said.
 */
async function outcomeAtGate(daemon: Daemon, ask: () => Promise<Outcome>): Promise<Outcome> {
  const { logs } = daemon;
  const seen = logs.length;
  const outcome = await ask();
  if (outcome.kind !== 'failed' || outcome.exitCode !== 75) return outcome;
  await daemon.waitForLog((record) => record['event'] === 'backend-up' && logs.indexOf(record) >= seen, 'up');
  return ask();
}

async function outcomeOf(
  client: HttpClientVector,
  { body = '' }: ClientRequest,
  port: number,
  key: string,
  user: string,
): Promise<Outcome> {
  const authorization =
    client.authorization === 'password' ? authorizationOf.password(key) : authorizationOf.key(key);
  const request = encodePost({
    authorization,
    headers: client.headers,
    body: body
      .replaceAll(`"user=bob@example.org"`, `"user=${colleague}"`)
      .replaceAll('"alice@example.org"', `"${user}"`)
      .replaceAll(replica, replicaHere),
    isChunked: client.chunked === true,
  });
  try {
    for (let tries = 1; ; tries += 1) {
      const outcome = readers[client.reader](await askRaw({ port }, request), body);
      if (!isToRepeat(outcome) || tries === 10) return outcome;
    }
  } catch (error) {
    if (error instanceof HttpCut) return unreadable(error.message);
    throw new Error(`${client.client} at ${port}: ${body}`, { cause: error });
  }
}

/**
 * `sync` of 2.4 ends so where it met a change, and is to be repeated (measured on 2.4.1 and 2.4.5, directly, at one of four first
 * syncs).
 */
function isToRepeat(outcome: Outcome): boolean {
  return outcome.kind === 'failed' && outcome.exitCode === 2;
}

const unreadable = (why: string): Outcome => ({ kind: 'unreadable', why });

type Reader = (answer: HttpAnswer, request: string) => Outcome;

/** As the programs read, from their sources; see test/vectors/http/clients.json. */
const readers: Readonly<Record<HttpClientVector['reader'], Reader>> = {
  first({ status, body }) {
    if (status === 401 || status === 403) return { kind: 'key-refused' };
    if (status !== 200) return unreadable(`status ${status}`);
    return elementOf(arrayOf(body)?.[0]);
  },
  'three-and-tag'({ status, body }, request) {
    if (status !== 200) return unreadable(`status ${status}`);
    const element = arrayOf(body)?.[0];
    if (!Array.isArray(element) || element.length !== 3) return unreadable('not three members');
    return element[2] === tagsOf(request)[0] ? elementOf(element) : unreadable('another tag');
  },
  'by-tag'({ status, body }, request) {
    if (status === 401 || status === 403) return { kind: 'key-refused' };
    if (status !== 200) return unreadable(`status ${status}`);
    const [tag] = tagsOf(request);
    return elementOf(arrayOf(body)?.find((one) => Array.isArray(one) && one.length >= 3 && one[2] === tag));
  },
  'count-and-tag'({ status, body }, request) {
    if (status === 400 || status === 401) return { kind: 'key-refused' };
    if (status !== 200) return unreadable(`status ${status}`);
    const elements = arrayOf(body);
    const tags = tagsOf(request);
    if (elements?.length !== tags.length) return unreadable('another number of elements');
    const outcomes = tags.map((tag) =>
      elementOf(elements.find((one) => Array.isArray(one) && one[2] === tag)),
    );
    return outcomes.find(({ kind }) => kind !== 'done') ?? { kind: 'done', data: outcomes };
  },
};

function elementOf(element: unknown): Outcome {
  if (!Array.isArray(element)) return unreadable('no element');
  const [type, data] = element as unknown[];
  if (type === 'doveadmResponse') return { kind: 'done', data };
  const isError = type === 'error' && typeof data === 'object' && data !== null;
  if (!isError) return unreadable(`type ${String(type)}`);
  return { kind: 'failed', type: Reflect.get(data, 'type'), exitCode: Reflect.get(data, 'exitCode') };
}

function arrayOf(body: Buffer): unknown[] | undefined {
  try {
    const value: unknown = JSON.parse(body.toString());
    return Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function tagsOf(request: string): unknown[] {
  const commands: unknown = JSON.parse(request);
  return Array.isArray(commands)
    ? commands.map((one: unknown) => (Array.isArray(one) ? one[2] : undefined))
    : [];
}

/** Values that are of one mailbox or one moment. */
const volatile = new Set(
  'guid mailbox-guid uidvalidity firstsaved date.saved.unixtime highestmodseq recent state vsize'.split(' '),
);

/** What must be the same; of numbers of the moment only which there are. */
function alike(outcome: Outcome, { ofNow }: ClientRequest): unknown {
  if (outcome.kind !== 'done') return outcome;
  const text = JSON.stringify(outcome.data, (key, value: unknown) =>
    volatile.has(key) || (ofNow === true && typeof value !== 'object') ? 'x' : value,
  );
  const data: unknown = JSON.parse(text.replaceAll(twins.direct, 'USER').replaceAll(twins.gate, 'USER'));
  if (ofNow === true) return Array.isArray(data) ? JSON.stringify(data[0]) : data;
  return Array.isArray(data) ? data.map((row) => JSON.stringify(row)).toSorted() : data;
}

const withPolicies = z.object({ policies: z.record(z.string(), z.unknown()) });

/** The policies that the page gives, by program, for the users of the lab. */
function policiesOfPage(): ReadonlyMap<string, string> {
  const all = fencesOf(readPage('docs/client-http.md'))
    .filter(({ language }) => language === 'yaml')
    .flatMap(({ text }) => Object.entries(withPolicies.parse(parse(text)).policies));
  // JSON is YAML.
  return new Map(
    all.map(([name, policy]) => [
      name,
      ` ${JSON.stringify(policy).replaceAll('example.com', 'example.org').replaceAll(replica, replicaHere)}`,
    ]),
  );
}
