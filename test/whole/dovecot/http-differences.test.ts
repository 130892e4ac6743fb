// Goal: no difference between an answer of dovegate and one of Dovecot without a row in docs/client-http.md.
//
// Generated requests (any command that panels send, any value of any type, odd users, other spellings, several commands, broken JSON) go
// through dovegate to a real Dovecot, and as they are to the HTTP API of a second one with the same mail. Where the answers differ, a row
// of http-differences.ts must hold, and its reason is one that the page prints.
//
// DOVEGATE_RELEASES="native trixie" says which Dovecots; DOVEGATE_ROUNDS=20 makes 2,000 requests for each; DOVEGATE_SEED repeats a run.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allSeries, type Command, commandNamed, type Series } from '../../../src/doveadm/commands/catalog.js';
import { pick, type Random, randomInteger, seededRandom } from '../../kit/plain/chunkings.js';
import { httpDifferences } from '../../kit/plain/http-vectors.js';
import { isJson } from '../../kit/plain/json-form.js';
import { authorizationOf, encodePost, HttpCut, openRawHttp } from '../../kit/plain/raw-http.js';
import { differenceOfFiles } from './compare.js';
import {
  type Answer,
  type Answered,
  type AskedCommand,
  allowedDifferences,
  type Difference,
  readEntries,
  reasonOf,
} from './http-differences.js';
import { openHttpGateway } from './http-gateway.js';
import { comparable, onlyKind, policyFor, spell } from './http-twins.js';
import { commandNames, type Places, valuesFor } from './line-maker.js';
import { idsOf, onDovecot } from './real-gateway.js';
import { openTwinWorlds, people, realm } from './twin-worlds.js';

const requestsPerRelease = 100 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const seed = Number(process.env['DOVEGATE_SEED'] ?? 20_261_122);
const restoredAfter = 25;
const alice = `${people[0]}@${realm}`;
const answerMs = 20_000;
/** Dovecot 2.3 waits for the rest of a text that is cut, however long. */
const cutAnswerMs = 3_000;

/** They end or move what runs on the machine. */
const unsent = new Set(['batch', 'import', 'kick', 'proxy kick']);
const more = ['indexer list', 'indexer add', 'indexer remove', 'director status', 'replicator status'];
const names = [...new Set([...commandNames, ...more])].filter((name) => !unsent.has(name));

const oddUsers = [
  ...`| |a b|alice|nobody|ALICE@${realm.toUpperCase()}|alice@${realm}@${realm}|alice@${realm} |alice@`.split(
    '|',
  ),
  ...`@${realm}|ünï@example.org|alice\n|alice\t|"alice"|%u|-A|alice/../bob|\u2028`.split('|'),
  'x'.repeat(400),
];
const userMasks = ['*', `*@${realm}`, 'al*', `?lice@${realm}`, 'nobody*', `AL*@${realm}`];
const oddValues = ['{}', '[1]', '[[]]', 'null', '-1', '1.5', '""', '[]', 'true', 'false', '{"a":[]}', '"x"'];
const oddNames = ['nope', 'MailboxList', 'mailbox_list', 'pw', 'exec', '', '__proto__', 'mailboxList '];
const serverSide = ['user-file', 'socket-path', 'trans-flags', 'no-userdb-lookup'];

function encodeValue(random: Random, type: string, values: readonly string[]): string {
  const [first = ''] = values;
  // Of another type than a text Dovecot 2.3 waits for one.
  if (type !== 'istream' && random() < 0.04) return pick(random, oddValues);
  switch (type) {
    case 'bool':
      return pick(random, ['true', 'true', '"true"', 'false', '"false"']);
    case 'int':
      return random() < 0.5 && /^(?:0|-?[1-9]\d*)$/.test(first) ? first : JSON.stringify(first);
    case 'array':
      if (values.length > 1 && random() < 0.1) return JSON.stringify(values.join(' '));
      return values.length === 1 && random() < 0.3 ? JSON.stringify(first) : JSON.stringify(values);
    default:
      return JSON.stringify(first);
  }
}

function userOf(random: Random): string {
  const roll = random();
  if (roll < 0.72) return JSON.stringify(alice);
  if (roll < 0.76) return JSON.stringify(`bob@${realm}`);
  if (roll < 0.8) return JSON.stringify(`nobody@${realm}`);
  if (roll < 0.9) return JSON.stringify(pick(random, oddUsers));
  if (roll < 0.97) return JSON.stringify(pick(random, userMasks));
  return pick(random, oddValues);
}

function makeCommand(random: Random, series: Series, places: Places, tag: string): AskedCommand {
  const name = random() < 0.03 ? pick(random, oddNames) : pick(random, names);
  const command = commandNamed(series, name);
  // A command of the other series is asked for with its own parameters.
  const shape = command ?? allSeries.flatMap((one) => commandNamed(one, name) ?? [])[0];
  const members: [name: string, spelled: string, json: string][] = [];
  const add = (each: string, json: string): void => {
    members.push([each, spell(random, each), json]);
  };
  if (shape?.scope === 'user') {
    if (random() < 0.97) add('user', userOf(random));
    if (random() < 0.03) add('all-users', pick(random, ['true', 'false']));
    if (random() < 0.02) {
      const each = pick(random, serverSide);
      add(each, each === 'user-file' ? '"x"' : pick(random, ['"x"', '1', 'true']));
    }
  }
  for (const parameter of shape?.params ?? []) {
    const { isPositional, isOptional, type, role } = parameter;
    if (role === 'internal' || role === 'user-file' || role === 'all-users') continue;
    if (role === 'socket' || parameter.name === 'queue' || parameter.name === 'source-type') continue;
    if (role === 'user' && shape?.scope === 'user') continue;
    const isTwin = isPositional && /^(?:field|flag)str$/.test(parameter.name);
    const isLeftOut = isTwin ? random() < 0.9 : random() < (isPositional && !isOptional ? 0.04 : 0.6);
    const isList = /^(?:field|flag)$/.test(parameter.name) && type === 'array';
    if (isLeftOut && !(isList && random() < 0.8)) continue;
    if (parameter.name === 'source-user' && series === '2.3') add('source-type', '"user"');
    add(parameter.name, encodeValue(random, type, valuesOf(random, shape, parameter, places)));
  }
  if (random() < 0.02) add('nonsense', pick(random, oddValues));
  if (random() < 0.02 && members.length > 0) members.push(pick(random, members));
  for (let at = members.length - 1; at > 0; at -= 1) {
    const other = randomInteger(random, 0, at);
    const [one, two] = [members[at], members[other]];
    if (one !== undefined && two !== undefined) [members[at], members[other]] = [two, one];
  }
  const body = members.map(([, spelled, json]) => `${JSON.stringify(spelled)}:${json}`).join(',');
  const called = JSON.stringify(spell(random, name.replaceAll(' ', '-')));
  return {
    command,
    parameters: members.map(([each, , json]) => [each, json]),
    json: `[${oddNames.includes(name) ? JSON.stringify(name) : called},{${body}},${JSON.stringify(tag)}]`,
  };
}

function valuesOf(
  random: Random,
  command: Command | undefined,
  parameter: Command['params'][number],
  places: Places,
): readonly string[] {
  if (command === undefined) return [''];
  // A text over HTTP is the mail or the script itself.
  if (parameter.role === 'content-file')
    return [pick(random, ['Subject: saved\r\n\r\nsaved\r\n', 'keep;\r\n', ''])];
  return valuesFor(random, command, parameter, places);
}

interface Request {
  readonly asked: readonly AskedCommand[];
  readonly body: string;
}

function makeRequest(random: Random, series: Series, places: Places): Request {
  const count = random() < 0.9 ? 1 : randomInteger(random, 2, 3);
  const asked = Array.from({ length: count }, (_, at) => makeCommand(random, series, places, `t${at}`));
  const body = `[${asked.map(({ json }) => json).join(',')}]`;
  const roll = random();
  if (roll < 0.01) return { asked, body: `${body} x` };
  if (roll < 0.015) return { asked, body: body.slice(0, randomInteger(random, 0, body.length - 1)) };
  if (roll < 0.025) return { asked, body: body.replace(/"t0"\]/, pick(random, ['1]', '"t0",1]', '"t0"'])) };
  return { asked, body };
}

/** One that waits for more of a text that is cut counts as closed. */
async function ask(port: number, authorization: string, body: string): Promise<Answer> {
  const isWhole = isJson(body);
  const client = await openRawHttp({ port, timeoutMs: isWhole ? answerMs : cutAnswerMs });
  try {
    await client.write(encodePost({ body, authorization }));
    const answer = await client.readAnswer();
    const text = answer.body.toString();
    if (answer.status !== 200) return { kind: 'refused', status: answer.status, text: text.trim() };
    return readEntries(text);
  } catch (fault) {
    const isCut = fault instanceof HttpCut || (fault instanceof Error && 'code' in fault);
    if (isCut || !isWhole) return { kind: 'closed' };
    throw new Error(`no answer at port ${port} to ${body}`, { cause: fault });
  } finally {
    client.close();
  }
}

function isCarriedOut(answer: Answer): boolean {
  return answer.kind === 'entries' && answer.entries.every(({ kind }) => kind === 'doveadmResponse');
}

/** Of each command, or of the answers as a whole (`whole`); none: they are alike. */
function differencesOf(whole: Difference): readonly Difference[] {
  const { asked, ours, theirs } = whole;
  if (ours.kind === 'refused' && theirs.kind === 'refused')
    return ours.status === theirs.status && ours.text === theirs.text ? [] : [whole];
  if (ours.kind !== 'entries' || theirs.kind !== 'entries') return [whole];
  if (ours.entries.length !== theirs.entries.length || ours.isRepaired) return [whole];
  const found = ours.entries.flatMap((one, index): readonly Difference[] => {
    const [other, part] = [theirs.entries[index], asked[index]];
    if (other === undefined || part === undefined) return [whole];
    return areAlike(part, one, other) ? [] : [{ ...whole, at: { asked: part, ours: one, theirs: other } }];
  });
  return theirs.isRepaired ? [...found, whole] : found;
}

function areAlike({ command }: AskedCommand, ours: Answered, theirs: Answered): boolean {
  if (ours.kind !== theirs.kind || ours.exitCode !== theirs.exitCode) return false;
  if (command === undefined || ours.kind !== 'doveadmResponse' || onlyKind.has(command.name)) return true;
  const [one, other] = [comparable(command, ours.data), comparable(command, theirs.data)];
  return JSON.stringify(one) === JSON.stringify(other);
}

function shown({ body }: Request, { at, ours, theirs }: Difference): string {
  const [one, other] = at === undefined ? [ours, theirs] : [at.ours, at.theirs];
  return `${at?.asked.json ?? body}\n  ours   ${JSON.stringify(one)}\n  theirs ${JSON.stringify(other)}`;
}

test('every reason of the table is printed by docs/client-http.md', () => {
  const { reasons } = httpDifferences();
  const keys = allowedDifferences.map(([reason]) => reason);
  assert.equal(new Set(keys).size, keys.length);
  for (const key of keys) assert.ok(key in reasons, key);
});

onDovecot('no difference without a row in the page', openTwinWorlds, async (t, twins) => {
  const { series } = twins;
  const [theirs, ours] = twins.worlds;
  const { gateway, port, key } = await openHttpGateway(t, ours.lab, policyFor(names), {
    sharedNamespaces: '["shared/"]',
  });
  const keyed = authorizationOf.key(key);
  const login = authorizationOf.password(theirs.lab.password);
  const random = seededRandom(seed);
  const tally = new Map<string, number>();
  const unexplained: string[] = [];
  const count = (what: string): void => {
    tally.set(what, (tally.get(what) ?? 0) + 1);
  };
  for (let left = requestsPerRelease; left > 0 && unexplained.length < 40; left -= 1) {
    const request = makeRequest(random, series, twins);
    const answer = await ask(port, keyed, request.body);
    const expected = await ask(theirs.lab.httpPort, login, request.body);
    const whole: Difference = { series, asked: request.asked, ours: answer, theirs: expected, at: undefined };
    const answered = differencesOf(whole);
    const changed = answered.length === 0 ? differenceOfFiles(twins) : undefined;
    // A command that its client gave up may still make the empty folder of somebody without mail.
    const files = people.some((person) => changed?.startsWith(`${person}@`)) ? changed : undefined;
    const differences = files === undefined ? answered : [whole];
    if (differences.length === 0) count('alike');
    if (differences.length === 0 && isCarriedOut(answer)) count('carried out');
    for (const difference of differences) {
      const reason = reasonOf(difference);
      count(reason ?? 'unexplained');
      if (reason === undefined)
        unexplained.push(`${shown(request, difference)}\n  files ${files ?? 'not compared'}`);
    }
    // One of them may have done what the other refused.
    if (differences.length > 0 || left % restoredAfter === 0)
      for (const world of twins.worlds) world.restore();
  }
  t.diagnostic(`Dovecot ${twins.version}, seed ${seed}: ${JSON.stringify(Object.fromEntries(tally))}`);
  for (const each of unexplained) t.diagnostic(each);
  assert.deepEqual(unexplained, []);
  assert.ok((tally.get('alike') ?? 0) > requestsPerRelease / 3, 'too few were alike for this to say much');
  assert.ok((tally.get('carried out') ?? 0) > requestsPerRelease / 5, 'too few were carried out');
  // Not `finish`: the password of the lab is a word that a request may hold.
  assert.deepEqual(await gateway.daemon.stop(), { code: 0, signal: null });
  const records = gateway.daemon.audit();
  assert.deepEqual(idsOf(records, 'admission').toSorted(), idsOf(records, 'completion').toSorted());
});
