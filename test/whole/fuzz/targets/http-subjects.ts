// Bodies of the HTTP API for fuzzing: how they are made, and what must be true of what is read from them.

import assert from 'node:assert/strict';
import { allSeries, commandsOf } from '../../../../src/doveadm/commands/catalog.js';
import { readNamedCommand } from '../../../../src/doveadm/commands/named.js';
import {
  type DecodedRequest,
  heldBytesMax,
  RequestDecoder,
  SpanReader,
  stringBytesMax,
} from '../../../../src/doveadm/http-api/request.js';
import { canonicalArguments } from '../../../../src/doveadm/meaning/canonical.js';
import { parseSettings } from '../../../../src/rules/config/parse-settings.js';
import { routingTableOf } from '../../../../src/rules/config/settings.js';
import { judge } from '../../../../src/rules/policy/judge.js';
import { pick, type Random, randomInteger } from '../../../kit/plain/chunkings.js';
import { spelling } from '../../../kit/plain/json-form.js';
import { listed } from '../../../kit/plain/listed.js';

const commandsMax = 3;

const commands = allSeries.flatMap((series) => commandsOf(series));
const names = [...new Set(commands.map(({ name }) => name))];

const words = listed('alice|INBOX|*|true|false||0|-1|all|user|\u00fc|\u{1f600}|a\tb|"');
const oddText = [
  ...listed('\\u0000|\\ud800|\\udc00|\\ud83d\\ude00|\\u00e9|\\x|\\|\n|\\/'),
  'x'.repeat(70),
  '__proto__',
];
const tokens = '[ ] { } : , " "a" [[ ]] null true false 1 -0 1e9 01 "t" "user" {} [] \\ \u00e9'.split(' ');

function text(random: Random): string {
  const roll = random();
  if (roll < 0.93) return JSON.stringify(pick(random, words));
  return roll < 0.998 ? `"${pick(random, oddText)}${pick(random, words).replace('"', '')}"` : '"';
}

function value(random: Random, depth: number): string {
  const roll = random();
  if (roll < 0.45) return text(random);
  if (roll < 0.6) return pick(random, ['true', 'false', 'null', '"true"', '"false"']);
  if (roll < 0.7)
    return pick(random, ['0', '7', '-8', '1.5', '1e400', '4294967296', '00', '-', '9'.repeat(300)]);
  const inner = Array.from({ length: randomInteger(random, 0, 3) }, () =>
    depth > 0 || random() < 0.95 ? text(random) : value(random, 1),
  );
  if (roll < 0.95) return `[${inner.join(',')}]`;
  return `{${inner.map((one) => `"k":${one}`).join(',')}}`;
}

function commandText(random: Random): string {
  const { name: known, params } = pick(random, commands);
  const name = random() < 0.95 ? spelling(random, known) : pick(random, words);
  const members = Array.from({ length: randomInteger(random, 0, 4) }, () => {
    const roll = random();
    const { params: others } = roll < 0.5 || params.length === 0 ? pick(random, commands) : { params };
    const own = others.length === 0 || roll < 0.05 ? 'file' : pick(random, others).name;
    const key = roll < 0.45 ? 'user' : spelling(random, own);
    return `${JSON.stringify(key)}:${value(random, 0)}`;
  });
  const parts = [JSON.stringify(name), `{${members.join(',')}}`, text(random)];
  if (random() < 0.03) parts.splice(randomInteger(random, 0, 2), 1);
  if (random() < 0.02) parts.push(value(random, 0));
  return `[${parts.join(random() < 0.9 ? ',' : ' , ')}]`;
}

export function body(random: Random): Buffer {
  const roll = random();
  if (roll < 0.1) {
    return Buffer.from(
      Array.from({ length: randomInteger(random, 0, 24) }, () => pick(random, tokens)).join(''),
    );
  }
  const all = Array.from({ length: randomInteger(random, 0, commandsMax + (random() < 0.05 ? 1 : 0)) }, () =>
    commandText(random),
  );
  const bytes = Buffer.from(`[${all.join(',')}]${random() < 0.03 ? ' x' : ''}`);
  if (roll < 0.8) return bytes;
  if (roll < 0.85) return bytes.subarray(0, randomInteger(random, 0, bytes.length));
  const changed = Buffer.from(bytes);
  for (let change = randomInteger(random, 1, 3); change > 0 && changed.length > 0; change -= 1)
    changed[randomInteger(random, 0, changed.length - 1)] =
      random() < 0.5
        ? randomInteger(random, 0, 255)
        : pick(random, [0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d, 0x2c, 0x3a]);
  return changed;
}

export function decode(chunks: readonly Buffer[]): DecodedRequest {
  const decoder = new RequestDecoder({ commandsMax });
  for (const chunk of chunks) {
    decoder.push(chunk);
    assert.ok(decoder.pendingBytes <= heldBytesMax + 2 * stringBytesMax);
  }
  return decoder.end();
}

/** What JSON.parse takes and this does not: on purpose, as Dovecot, or a limit. */
const stricter =
  /^JSON parse error: (?:String contains (?:escaped NUL|lonely)|Data is nested|Excessive|Root is not)|^(?!JSON parse error)/;

function parse(bytes: Buffer): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)) };
  } catch {
    return undefined;
  }
}

/** The request as JSON.parse shows it: of a name that comes twice the last value. */
function asParsed(request: Extract<DecodedRequest, { kind: 'request' }>, bytes: Buffer): unknown {
  return request.commands.map(({ name, parameters, tag }) => [
    name,
    // Not by assignment: `__proto__` is a name like any other.
    Object.fromEntries(
      parameters.map(({ name: key, value: given }): [string, unknown] => {
        switch (given.kind) {
          case 'string':
            return [key, given.text];
          case 'number':
            return [key, Number(given.text)];
          case 'list':
            return [key, given.items];
          case 'span': {
            const reader = new SpanReader();
            const inside = reader.push(bytes.subarray(given.from, given.to)).toString();
            reader.end();
            return [key, inside];
          }
          case 'other':
            return [key, given.what];
          case 'true':
            return [key, true];
          case 'false':
            return [key, false];
          case 'null':
            return [key, null];
          default:
            return given satisfies never;
        }
      }),
    ),
    tag,
  ]);
}

/** Values that are only known by their kind, by that. */
function shownOnly(request: unknown): unknown {
  assert.ok(Array.isArray(request));
  return request.map((command: readonly [string, Record<string, unknown>, string]) => [
    command[0],
    Object.fromEntries(
      Object.entries(command[1]).map(([key, given]) => {
        if (Array.isArray(given))
          return [key, given.every((item) => typeof item === 'string') ? given : 'list'];
        return [key, given !== null && typeof given === 'object' ? 'object' : given];
      }),
    ),
    command[2],
  ]);
}

const settings = parseSettings('fuzz.yaml', {
  readText: () => `
version: 1
listeners: { p: { unix: /run/p, policy: p } }
backends: { m: { address: "unix:/run/d", shared_namespaces: [] } }
routes: [{ users: ["*"], backend: m }]
policies:
  p:
    users: ["*"]
    except: [ceo]
    allow:
${names.flatMap((name) => (commands.some((one) => one.name === name && one.grant !== 'never') ? [`      - ${name}`] : [])).join('\n')}
`,
  glob: () => [],
}).settings;
assert.ok(settings);
const policy = settings.policies.get('p');
assert.ok(policy);
export const context = {
  listener: 'p',
  principal: 'x@p',
  clientMinor: 4,
  policy,
  userNames: routingTableOf(settings).userNames,
  sharedNamespaces: [],
  nowMs: 0,
};

/** JSON.parse takes what is taken, and each command is judged, or refused. */
export function checkBody(bytes: Buffer, whole: DecodedRequest): void {
  const shown = bytes.toString('latin1');
  const parsed = parse(bytes);
  if (whole.kind === 'bad') {
    assert.ok(parsed === undefined || stricter.test(whole.text), `${whole.text} ${shown}`);
    return;
  }
  assert.ok(parsed !== undefined, shown);
  assert.deepEqual(asParsed(whole, bytes), shownOnly(parsed.value), shown);
  for (const command of whole.commands) {
    const read = readNamedCommand(command);
    if (read.kind === 'bad') continue;
    for (const series of allSeries) {
      const judgement = judge(read.line, [series], context);
      if (judgement.kind === 'unparsable' || judgement.decision.kind === 'deny') continue;
      const asked = judgement.args.map((word) => word.text);
      assert.deepEqual(canonicalArguments(judgement.attempt.parsed), asked, shown);
    }
  }
}

export const cells = listed('a|4|-|\t|\t|\x01t|\x01n|\x010|\x01|"|\\|\n|\xff|\xc3\xa9|\xe2\x82');
export const columnsOf = [
  { key: 'a', isNumber: false },
  { key: 'b"', isNumber: true },
];
