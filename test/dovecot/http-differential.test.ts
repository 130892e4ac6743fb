// Goal: a request means to dovegate what it means to Dovecot's own HTTP API.
//
// Generated requests go through dovegate to a real Dovecot, and as they are to the HTTP API of a second one with the same mail.
// What dovegate carries out must be answered alike and leave the same files; what Dovecot does not take, dovegate does not carry out;
// nobody's mail is touched but of those whom the record names.
//
// DOVEGATE_RELEASES="native trixie" says which Dovecots; DOVEGATE_ROUNDS=20 makes the 5,000 requests of the published figure; DOVEGATE_SEED
// repeats a run.
import assert from 'node:assert/strict';
import { type Command, commandNamed, type Series } from '../../src/domain/commands/catalog.js';
import { pick, type Random, randomInteger, seededRandom } from '../kit/chunkings.js';
import { authorizationOf, encodePost, HttpCut, openRawHttp } from '../kit/raw-http.js';
import { differenceOfFiles } from './compare.js';
import { openHttpGateway } from './http-gateway.js';
import { comparable, onlyKind, policyFor, spell } from './http-twins.js';
import { commandNames, type Places, valuesFor } from './line-maker.js';
import { idsOf, onDovecot } from './real-gateway.js';
import { openTwinWorlds, people, realm } from './twin-worlds.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const seed = Number(process.env['DOVEGATE_SEED'] ?? 20_261_121);
const requestsPerRelease = 250 * rounds;
const batchRequests = 25;
const alice = `${people[0]}@${realm}`;
/** Their values are new each time, or (`proxy list` of 2.3) nobody knows their columns. */
const noTwins = new Set([
  'save',
  'mailbox cryptokey generate',
  'batch',
  'import',
  'kick',
  'proxy kick',
  'proxy list',
]);

const names = [...new Set(commandNames)].filter((name) => !noTwins.has(name));

interface Request {
  readonly command: Command;
  readonly json: string;
}

/** A value as the request has it; strange ones now and then. */
function encodeValue(random: Random, type: string, values: readonly string[]): string {
  const [first = ''] = values;
  if (random() < 0.02) return pick(random, ['{}', '[1]', '[[]]', 'null', '-1', '1.5', '""', '[]']);
  switch (type) {
    case 'bool':
      return pick(random, ['true', 'true', '"true"']);
    case 'int':
      return random() < 0.5
        ? JSON.stringify(first)
        : /^(?:0|[1-9]\d*)$/.test(first)
          ? first
          : JSON.stringify(first);
    case 'array':
      return values.length === 1 && random() < 0.3 ? JSON.stringify(first) : JSON.stringify(values);
    default:
      return JSON.stringify(first);
  }
}

function makeRequest(random: Random, series: Series, places: Places): Request | undefined {
  const command = commandNamed(series, pick(random, names));
  if (command === undefined) return undefined;
  const members: string[] = [];
  if (command.scope === 'user') {
    const roll = random();
    const user = roll < 0.9 ? alice : roll < 0.95 ? `bob@${realm}` : `nobody@${realm}`;
    if (random() < 0.99) members.push(`"user":${JSON.stringify(user)}`);
    if (random() < 0.02) members.push('"allUsers":true');
  }
  for (const parameter of command.params) {
    const { name, type, isPositional, isOptional } = parameter;
    if (
      [
        'user',
        'all-users',
        'socket-path',
        'trans-flags',
        'user-file',
        'no-userdb-lookup',
        'queue',
        'source-type',
      ].includes(name)
    )
      continue;
    if (parameter.caution === 'never' || parameter.role === 'socket') continue;
    if ((name === 'fieldstr' || name === 'flagstr') && random() < 0.9) continue;
    const isLeftOut = isPositional && !isOptional ? random() < 0.03 : random() < 0.6;
    if (isLeftOut) continue;
    if (name === 'source-user' && series === '2.3') members.push('"sourceType":"user"');
    members.push(
      `${JSON.stringify(spell(random, name))}:${encodeValue(random, type, valuesFor(random, command, parameter, places))}`,
    );
  }
  if (random() < 0.01) members.push('"nonsense":"x"');
  for (let at = members.length - 1; at > 0; at -= 1) {
    const other = randomInteger(random, 0, at);
    [members[at], members[other]] = [members[other] ?? '', members[at] ?? ''];
  }
  const json = `[[${JSON.stringify(spell(random, command.name.replaceAll(' ', '-')))},{${members.join(',')}},"t"]]`;
  return { command, json };
}

/** What a client reads of an answer; undefined: the server ended the connection instead. */
type Read =
  | {
      readonly status: number;
      readonly kind: string;
      readonly code: number | undefined;
      readonly data: unknown;
      readonly message: string;
    }
  | undefined;

async function ask(port: number, authorization: string, json: string): Promise<Read> {
  const client = await openRawHttp({ port, timeoutMs: 30_000 });
  try {
    await client.write(encodePost({ body: json, authorization }));
    const { status, body } = await client.readAnswer();
    if (status !== 200)
      return { status, kind: 'refused', code: undefined, data: undefined, message: body.toString() };
    const [[kind, data]] = JSON.parse(body.toString());
    return {
      status,
      kind: kind === 'error' ? data.type : kind,
      code: data?.exitCode,
      data: kind === 'error' ? undefined : data,
      message: data?.message ?? '',
    };
  } catch (fault) {
    if (fault instanceof HttpCut || (fault instanceof Error && 'code' in fault)) return undefined;
    throw fault;
  } finally {
    client.close();
  }
}

/** Why it is a contradiction; undefined: it is none. */
function contradiction(command: Command, ours: Read, theirs: Read): string | undefined {
  const said = JSON.stringify({ ours, theirs });
  if (ours === undefined) return `no answer of ours: ${said}`;
  // It ended the process of the server, or would have: nothing to compare with.
  if (theirs === undefined) return undefined;
  // Its parameter has two names, of which a release knows one, and we both.
  if (command.name === 'auth cache flush' && theirs.kind === 'invalidRequest') return undefined;
  if (ours.kind === 'doveadmResponse') {
    if (theirs.kind !== 'doveadmResponse') return `only we carried it out: ${said}`;
    if (onlyKind.has(command.name)) return undefined;
    const [one, other] = [comparable(command, ours.data), comparable(command, theirs.data)];
    return JSON.stringify(one) === JSON.stringify(other) ? undefined : `other rows: ${said}`;
  }
  if (ours.kind === 'exitCode' && theirs.kind === 'doveadmResponse')
    return `only the server carried it out: ${said}`;
  // A command of a plugin that is not there: the wire has no word for that.
  if (ours.kind === 'exitCode' && theirs.kind === 'unknownMethod')
    return ours.code === -1 ? undefined : `another exit code: ${said}`;
  if (ours.kind === 'exitCode' && theirs.kind === 'exitCode')
    return ours.code === theirs.code || ours.code === -1 ? undefined : `another exit code: ${said}`;
  return ours.kind === theirs.kind && ours.status === theirs.status ? undefined : `another error: ${said}`;
}

/** INBOX is sent in capitals, and a server asked for `inbox` may fail with another code (65 for 68, 2.3.19.1). */
function inOneSpelling(json: string): string {
  return json.replaceAll(/"inbox(?=["/.])/gi, '"INBOX');
}

/** Refused before anything was sent, for what stands in HTTP.md: stricter than the server. */
function isStricter(ours: Read): boolean {
  if (ours === undefined) return false;
  if (ours.status === 400 || ours.kind === 'invalidRequest' || ours.kind === 'unAuthorized') return true;
  return ours.kind === 'exitCode' && ours.message.startsWith('not understood');
}

onDovecot('requests mean what they mean to us', openTwinWorlds, async (t, twins) => {
  const [theirs, ours] = twins.worlds;
  const { gateway, port, key } = await openHttpGateway(t, ours.lab, policyFor(names), {
    sharedNamespaces: '["shared/"]',
  });
  const random = seededRandom(seed);
  const tally = { requests: 0, carriedOut: 0, failed: 0, stricter: 0, died: 0 };
  const contradictions: string[] = [];
  while (tally.requests < requestsPerRelease && contradictions.length < 20) {
    const done: string[] = [];
    for (let left = batchRequests; left > 0; left -= 1) {
      const request = makeRequest(random, twins.series, twins);
      if (request === undefined) continue;
      tally.requests += 1;
      const answer = await ask(port, authorizationOf.key(key), request.json);
      if (isStricter(answer)) {
        tally.stricter += 1;
        continue;
      }
      const expected = await ask(
        theirs.lab.httpPort,
        authorizationOf.password(theirs.lab.password),
        inOneSpelling(request.json),
      );
      if (expected === undefined) tally.died += 1;
      else if (answer?.kind === 'doveadmResponse') tally.carriedOut += 1;
      else tally.failed += 1;
      done.push(request.json);
      const problem = contradiction(request.command, answer, expected);
      if (problem !== undefined) contradictions.push(`${request.json}\n  ${problem}`);
    }
    const difference = differenceOfFiles(twins);
    if (difference !== undefined) contradictions.push(`files of ${difference} after\n  ${done.join('\n  ')}`);
    theirs.restore();
    ours.restore();
  }
  t.diagnostic(`Dovecot ${twins.version}, seed ${seed}: ${JSON.stringify(tally)}`);
  for (const each of contradictions) t.diagnostic(each);
  assert.deepEqual(contradictions, []);
  assert.ok(tally.carriedOut > tally.requests / 4, 'too few requests were carried out for this to say much');
  assert.deepEqual(await gateway.daemon.stop(), { code: 0, signal: null });
  const records = gateway.daemon.audit();
  assert.deepEqual(idsOf(records, 'admission').toSorted(), idsOf(records, 'completion').toSorted());
});
