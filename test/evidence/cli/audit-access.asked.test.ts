// Goal: somebody who may not read the journal lists the requests and grants of their own users over the socket of the page, as it
// reads them through the view. What must not happen: those of others, or an answer without its end that passes for a whole one.
import assert from 'node:assert/strict';
import { text as textOf } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { readTrail } from '../../../src/evidence/reading/read-trail.js';
import { parseAsked } from '../../../src/evidence/views/asked.js';
import { temporaryDirectory } from '../../journal/files/reading.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { approver, grantRecords, over, owner, requested } from '../../kit/plain/access-records.js';
import { openStandIn } from '../../whole/cli/stand-in.js';
import { ours, startMs, writeJournal } from '../reading/written-journal.js';

const limits = { rowsMax: 10_000, bytesMax: 4 << 20, timeMs: 60_000 };

/** Answers with what the journal says, as a thread of the page does. */
async function openAuditorsPage(t: TestContext): Promise<string> {
  const directory = temporaryDirectory(t);
  const hidden = { users: ['bob@other.org'], user: 'bob@other.org' };
  writeJournal(directory, [
    ...grantRecords('G1', startMs),
    ...grantRecords('G2', startMs, hidden),
    requested('R1', startMs + 5),
    over('revoked', 'G1', startMs + 9),
  ]);
  return openStandIn(t, (request, response) => {
    if (request.url === '/trail/me')
      response.end(`${JSON.stringify({ name: 'eve', roles: ['audit'], users: ours })}\n`);
    else
      void textOf(request).then(async (body) => {
        const asked = parseAsked('requests', body);
        assert.ok(typeof asked === 'object' && request.url === '/trail/requests', body);
        const task = { directory, asked, users: ours, ownKey: '', limits };
        response.end((await readTrail(task, { now: () => 0 })).text);
      });
  });
}

test('a limited auditor lists the requests of their users, as a table and as JSON', async (t) => {
  const socket = await openAuditorsPage(t);
  const table = await runWarm(['audit', 'access', '--socket', socket]);
  assert.equal(table.exit, 0, table.text);
  assert.match(table.stderr, /eve sees the records of \*@example\.com only/);
  const lines = table.stdout.toString().split('\n');
  assert.equal(lines[0], '2 requests: 1 granted, 1 waiting, 0 refused, 1 granted and never used');
  assert.match(
    lines.find((line) => line.includes('G1')) ?? '',
    new RegExp(`approved by ${approver}, for 1 h, 3 uses +never`),
  );
  assert.match(lines.find((line) => line.includes('R1')) ?? '', / waits /);
  assert.doesNotMatch(table.text, /G2|other\.org/);
  const json = await runWarm([
    'audit',
    'access',
    '--user',
    'anna@*',
    '--since',
    '2026-11-01',
    '--json',
    '--socket',
    socket,
  ]);
  const items = json.stdout
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    items.map(({ id, to, end }) => [id, to, end?.action]),
    [
      ['G1', owner, 'revoked'],
      ['R1', owner, undefined],
    ],
  );
  const both = await runWarm(['audit', 'access', '--socket', socket, '/tmp']);
  assert.equal(both.exit, 64, both.text);
});

test('an answer without its end is none', async (t) => {
  const socket = await openStandIn(t, (request, response) =>
    response.end(
      request.url === '/trail/me' ? '{"name":"eve","roles":["audit"]}\n' : '{"access":{"said":{}}}\n',
    ),
  );
  const { exit, stdout } = await runWarm(['audit', 'access', '--socket', socket]);
  assert.deepEqual([exit, stdout.length], [69, 0]);
});
