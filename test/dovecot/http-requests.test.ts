// Goal: a request means to us what it means to a real server: the same 400, the same error, or the same command with the same rows.
// What must not happen: a command that we would send though the server refuses the request, or that means something else there.
// Reading commands only, for two users; every value may be of the wrong type, every name in another spelling.
import assert from 'node:assert/strict';
import { errorTypeOf, readNamedCommand } from '../../src/domain/commands/named.js';
import { parseSettings } from '../../src/domain/config/parse-settings.js';
import { routingTableOf } from '../../src/domain/config/settings.js';
import { judge } from '../../src/domain/policy/judge.js';
import { RequestDecoder } from '../../src/protocol/http-api/request.js';
import { pick, type Random, randomInteger, seededRandom } from '../kit/chunkings.js';
import { type Lab, openLab } from '../kit/dovecot-lab.js';
import { spelling } from '../kit/json-form.js';
import { askOverHttp, encodedAs, replyOf } from './http-and-wire.js';
import { alice, onDovecot } from './real-gateway.js';

const requests = Math.ceil(60 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1));
const seed = Number(process.env['DOVEGATE_SEED'] ?? 20_260_101);

/** JSON texts of values that fit. */
// Not `inbox`: it is sent as INBOX, and the server prints a name as it was asked for.
const mailboxes = [
  '"INBOX"',
  '["INBOX"]',
  '["INBOX","Archive"]',
  '"*"',
  '[]',
  '"Nope"',
  '"\\u00dcn\\u00efcode"',
];
const queries = [
  '["mailbox","INBOX","all"]',
  '["mailbox","INBOX","uid","1:2"]',
  '"all"',
  '["OR","seen","unseen"]',
  '["bogus"]',
  '["mailbox INBOX"]',
  '["NOT","seen"]',
];
const booleans = ['true', 'false', '"true"', '"false"'];
const commands: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  'mailbox list': { mutf7: booleans, subscriptions: booleans, 'mailbox-mask': mailboxes },
  'mailbox status': {
    field: ['["messages"]', '["messages","vsize"]', '"all"', '"messages unseen"', '["nope"]'],
    fieldstr: ['"messages vsize"', '"unseen"'],
    'total-sum': booleans,
    'mailbox-mask': mailboxes,
  },
  'mailbox path': { type: ['"index"', '"mailbox"'], mailbox: ['"INBOX"', '["INBOX"]'] },
  'quota get': {},
  'acl get': { 'match-me': booleans, mailbox: ['"INBOX"', '"Archive"'] },
  'acl rights': { mailbox: ['"INBOX"'] },
  search: { query: queries },
  fetch: {
    field: ['["uid","flags"]', '"uid"', '["hdr.subject"]', '["nope"]'],
    fieldstr: ['"uid guid"'],
    query: queries,
  },
  'sieve list': {},
  'sieve get': { scriptname: ['"main"', '"nope"'] },
  who: { mask: ['"nobody"', '["nobody"]', '[]'], 'separate-connections': booleans },
  user: {
    'user-mask': [`"${alice}"`, '"nobody"', `["${alice}","bob@example.org"]`, '"*"'],
    field: ['"home"'],
  },
};
const oddValues = [
  'null',
  '1',
  '-1.50',
  '"x"',
  '[1]',
  '["a",null]',
  '{}',
  '{"a":[]}',
  '[[]]',
  'true',
  '""',
  '[]',
  '"a\\u0000"',
  '"\\ud800"',
];

/** A request, and the same without booleans that are false: to servers up to 2.4.1 those are set. */
function makeRequest(random: Random): { readonly text: string; readonly served: string } {
  const name = pick(random, Object.keys(commands));
  const own = commands[name] ?? {};
  const members: string[] = [];
  const isMail = name !== 'who' && name !== 'user';
  if (isMail && random() < 0.93)
    members.push(`"user":${pick(random, [`"${alice}"`, `"${alice}"`, '"nobody@example.org"'])}`);
  for (const [parameter, fitting] of Object.entries(own)) {
    const isWanted = /^(?:query|user-mask|mailbox-mask|scriptname|mailbox|field)$/.test(parameter)
      ? 0.85
      : 0.2;
    if (random() > isWanted) continue;
    members.push(
      `${JSON.stringify(spelling(random, parameter))}:${pick(random, random() < 0.9 ? fitting : oddValues)}`,
    );
  }
  if (random() < 0.06)
    members.push(
      `"${pick(random, ['u', 'nope', 'Mutf7', '__proto__', 'userFile '])}":${pick(random, oddValues)}`,
    );
  if (random() < 0.06 && members.length > 0) members.push(pick(random, members));
  if (random() < 0.5) members.reverse();
  const parts = [
    JSON.stringify(
      random() < 0.95 ? spelling(random, name) : pick(random, ['nope', 'MailboxList', 'pw', '']),
    ),
    `{${members.join(',')}}`,
    '"t"',
  ];
  if (random() < 0.03) parts.splice(randomInteger(random, 0, 2), 1);
  if (random() < 0.02) parts.push('"more"');
  const text = `[[${parts.join(',')}]]`;
  const without = members.filter((member) => !isFalse.test(member));
  const hasTwins = new Set(members).size < members.length;
  const served = hasTwins ? text : text.replace(`{${members.join(',')}}`, () => `{${without.join(',')}}`);
  const roll = random();
  if (roll < 0.02) return { text: `${text} x`, served: `${served} x` };
  if (roll >= 0.05) return { text, served };
  const cut = text.slice(0, randomInteger(random, 0, text.length));
  return { text: cut, served: cut };
}

const isLiteral = /:(?:true|null)[,}]/;
const isFalse = /:"?false"?$/;

const { settings } = parseSettings('d.yaml', {
  readText: () => `
version: 1
listeners: { p: { unix: /run/p, policy: p } }
backends: { m: { address: "unix:/run/d", shared_namespaces: [] } }
routes: [{ users: ["*"], backend: m }]
policies: { p: { users: ["*"], allow: [${Object.keys(commands).join(', ')}] } }
`,
  glob: () => [],
});
assert.ok(settings);
const policy = settings.policies.get('p');
assert.ok(policy);
const context = {
  listener: 'p',
  principal: 'x@p',
  clientMinor: 4,
  policy,
  userNames: routingTableOf(settings).userNames,
  sharedNamespaces: [],
  nowMs: 0,
};

/** What a request comes to, in words that both sides have. `refused`: not read as the server might, on purpose. */
type Fate =
  | { readonly kind: 'bad'; readonly text: string }
  | { readonly kind: 'error'; readonly type: string }
  | { readonly kind: 'refused'; readonly code: string }
  | { readonly kind: 'sent'; readonly user: string; readonly words: readonly string[] };

function ours(lab: Lab, text: string): Fate {
  const decoder = new RequestDecoder({ commandsMax: 1 });
  decoder.push(Buffer.from(text));
  const decoded = decoder.end();
  if (decoded.kind === 'bad') return decoded;
  const [command] = decoded.commands;
  assert.ok(command);
  const read = readNamedCommand(command);
  if (read.kind === 'bad') return read;
  const judgement = judge(read.line, [lab.series], context);
  if (judgement.kind === 'unparsable') {
    const type = errorTypeOf(judgement.code);
    return type === 'exitCode' ? { kind: 'refused', code: judgement.code } : { kind: 'error', type };
  }
  const { attempt, args } = judgement;
  return {
    kind: 'sent',
    user: attempt.user ?? '',
    words: [attempt.command.name, ...args.map((word) => word.text)],
  };
}

onDovecot(`${requests} requests`, openLab, async (t, lab) => {
  const random = seededRandom(seed);
  const counts = new Map<string, number>();
  const contradictions: string[] = [];
  for (let round = 0; round < requests; round += 1) {
    const { text, served } = makeRequest(random);
    const theirs = await askOverHttp(lab, 'POST', served);
    const fate = ours(lab, text);
    const how = await compare(lab, text, fate, theirs);
    counts.set(how, (counts.get(how) ?? 0) + 1);
    if (isShown.test(how)) t.diagnostic(`${how}: ${text} ${theirs} ${JSON.stringify(fate)}`);
    if (how.startsWith('CONTRADICTION'))
      contradictions.push(`${text}\n  ${theirs}\n  ${JSON.stringify(fate)}`);
  }
  t.diagnostic(JSON.stringify(Object.fromEntries([...counts].toSorted(([a], [b]) => (a < b ? -1 : 1)))));
  assert.deepEqual(contradictions.slice(0, 20), [], `${contradictions.length} contradictions`);
});

/** What is printed of each, for who wants to read them. */
const isShown = new RegExp(process.env['DOVEGATE_SHOW'] ?? '^$');

/** How the two go together, in a word. */
async function compare(lab: Lab, text: string, fate: Fate, theirs: string): Promise<string> {
  const error = /^\[\["error",\{"type":"(\w+)", ?"exitCode":(-?\d+)\}/.exec(theirs);
  const isRows = theirs.startsWith('[["doveadmResponse"');
  const isDead = theirs === '';
  switch (fate.kind) {
    case 'bad':
      if (isRows) return lab.series === '2.3' ? 'bad here, ran on 2.3' : 'CONTRADICTION bad, ran';
      if (isDead || error !== null) return 'bad here, an error there';
      return theirs.trimEnd() === fate.text ? 'the same 400' : 'another 400';
    case 'error':
      // To a server these are texts, `true` and `null`.
      if (isRows && isLiteral.test(text)) return 'a literal for a text: an error here, ran there';
      if (isRows) return lab.series === '2.3' ? 'an error here, ran on 2.3' : 'CONTRADICTION error, ran';
      return error?.[1] === fate.type
        ? 'the same error'
        : isDead
          ? 'an error here, death there'
          : 'an error here, another there';
    case 'refused':
      return isRows ? `refused here (${fate.code}), ran there` : 'refused here and there';
    case 'sent': {
      if (!isRows && error?.[1] !== 'exitCode') {
        return isDead ? 'CONTRADICTION sent, death there' : 'CONTRADICTION sent, refused there';
      }
      const reply = await replyOf(lab, fate.user, fate.words);
      if (reply === undefined) return isRows ? 'CONTRADICTION fails on the wire only' : 'fails in both forms';
      if (!isRows) return 'CONTRADICTION fails over HTTP only';
      const isSame = encodedAs(lab, fate.words, reply) === theirs;
      return isSame ? 'the same rows' : 'CONTRADICTION other rows';
    }
    default:
      return fate satisfies never;
  }
}
