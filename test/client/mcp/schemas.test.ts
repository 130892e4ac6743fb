// Goal: a value that the schema of a tool permits is none that the gate refuses for its length, its number or its range, and one beyond the
// schema is refused for it. Of each command that Dovecot has.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accessTools, readAccess } from '../../../src/client/mcp/access.js';
import { type CommandTool, commandOf, commandTools, type Tool } from '../../../src/client/mcp/tools.js';
import { allSeries, commandsOf } from '../../../src/doveadm/commands/catalog.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { rightsOfRows } from '../../../src/rules/answers/read-answer.js';
import type { AnswerRow } from '../../../src/rules/answers/rights.js';

const names = [...new Set(allSeries.flatMap((series) => commandsOf(series).map(({ name }) => name)))];
const rights = rightsOfRows([
  ['listener', 'agent'],
  ['policy', 'agent'],
  ['user', '*'],
  ...names.flatMap((name): AnswerRow[] => [
    ['allow', name],
    ['effect', 'read'],
  ]),
]);
const tools = commandTools(rights ?? assert.fail());

type Property = Tool['inputSchema']['properties'][string];

/** Of a property the largest value, and those beyond it. */
function valuesOf(
  name: string,
  property: Property,
): { good: unknown[]; bad: (readonly [string, unknown])[] } {
  const { type, items, maxLength, maxItems, minimum, maximum } = property;
  const good: unknown[] = [];
  const bad: (readonly [string, unknown])[] = [];
  const text = (length: number): string => 'x'.repeat(length);
  if (maxLength !== undefined && name !== 'reason') {
    good.push(text(maxLength));
    bad.push([isMailUser(property) ? 'user-unknown' : 'too-long', text(maxLength + 1)]);
  }
  if (items?.maxLength !== undefined) {
    good.push([text(items.maxLength)]);
    bad.push(['too-long', [text(items.maxLength + 1)]]);
  }
  if (maxItems !== undefined) {
    good.push(Array<string>(maxItems).fill('x'));
    bad.push(['too-many', Array<string>(maxItems + 1).fill('x')]);
  }
  if (type === 'integer') {
    good.push(minimum ?? -1, maximum ?? Number.MAX_SAFE_INTEGER);
    if (minimum !== undefined) bad.push(['number-invalid', minimum - 1]);
    if (maximum !== undefined) bad.push(['number-invalid', maximum + 1]);
  }
  if (isMailUser(property)) bad.push(['user-unknown', ''], ['user-unknown', 'a*']);
  return { good, bad };
}

function isMailUser({ pattern = '' }: Property): boolean {
  return pattern.includes('*?');
}

const ofLimits = new Set(['user-unknown', 'too-long', 'too-many', 'number-invalid']);

void test('the lengths and ranges of a schema are those of the gate', () => {
  let checked = 0;
  for (const tool of tools)
    for (const [name, property] of Object.entries(tool.tool.inputSchema.properties)) {
      const { good, bad } = valuesOf(name, property);
      for (const value of good)
        assert.ok(!ofLimits.has(codeOf(tool, name, value)), `${tool.tool.name} ${name}`);
      for (const [code, value] of bad) {
        const found = codeOf(tool, name, value);
        // 2.3 takes numbers below 0 where 2.4, whose range the schema has, does not.
        if (found === '' && code === 'number-invalid' && tool.commands.length > 1) continue;
        checked += 1;
        assert.equal(found, code, `${tool.tool.name} ${name}`);
      }
    }
  assert.ok(checked > 100, String(checked));
});

/** The fault of a call with the least other arguments; '': there is none. */
function codeOf(tool: CommandTool, name: string, value: unknown): string {
  const { properties, required } = tool.tool.inputSchema;
  const least = (key: string): unknown =>
    properties[key]?.type === 'array' ? ['x'] : properties[key]?.type === 'integer' ? 1 : 'x';
  const given = { ...Object.fromEntries(required.map((key) => [key, least(key)])), [name]: value };
  const reading = commandOf(tool, given);
  return reading.kind === 'wrong' ? reading.code : '';
}

void test('what a request may be given has the ranges that the gate has', () => {
  const byName = new Map(tools.map((each) => [each.tool.name, each]));
  const [request] = accessTools(['quota_get']);
  const properties = request?.inputSchema.properties ?? {};
  const call = { tool: 'quota_get', arguments: { user: 'bob@example.com' }, reason: 'ticket 4711' };
  const kindOf = (extra: object): string => readAccess('request_access', { ...call, ...extra }, byName).kind;
  for (const name of ['for_minutes', 'uses']) {
    const { minimum = 0, maximum = 0 } = properties[name] ?? {};
    const kinds = [minimum - 1, minimum, maximum, maximum + 1].map((value) => kindOf({ [name]: value }));
    assert.deepEqual(kinds, ['wrong', 'request', 'request', 'wrong'], name);
  }
  const { maxLength, pattern = '' } = properties['reason'] ?? {};
  assert.equal(maxLength, bounds.reasonBytes);
  assert.ok(
    new RegExp(pattern, 'u').test('ticket 4711, für Carol') && !new RegExp(pattern, 'u').test('two\nlines'),
  );
});
