// Goal: `kill --older-than` ends what has run so long, each by an action of its own, and says of each what became of it. The daemon here is
// a stand-in; with a real one: test/whole/scenario/operator.test.ts.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { runWarm } from '../../kit/gate/warm-program.js';
import { openStandIn } from '../../whole/cli/stand-in.js';

const named = {
  principal: 'anna@support',
  user: 'alice@example.com',
  command: 'quota get',
  backend: 'mail1',
};
const exchanges = [
  { ...named, id: '01OLD', duration_ms: 300_000 },
  { ...named, id: '01YOUNG', duration_ms: 299_999 },
  { ...named, id: '01GONE', duration_ms: 900_000, user: '\u001b[31mred', backend: undefined },
  { id: '01LATER', duration_ms: 301_000 },
  // Nothing that this program could end.
  { id: 7, duration_ms: 1e9 },
  null,
];

async function openDaemon(t: TestContext, statusOf: (id: string) => number, all: unknown = exchanges) {
  const asked: string[] = [];
  const socket = await openStandIn(t, (request, response) => {
    const { method = '', url = '' } = request;
    asked.push(`${method} ${url}`);
    const status = url === '/status.json' ? 200 : statusOf(url.slice('/kill/'.length));
    response.writeHead(status);
    response.end(url === '/status.json' ? JSON.stringify({ exchanges: all }) : `${status} of the stand-in\n`);
  });
  return { asked, run: (...args: string[]) => runWarm(['kill', '--socket', socket, ...args]) };
}

test('each one that is old enough is ended by itself, and each gets a line', async (t) => {
  const { asked, run } = await openDaemon(t, (id) => (id === '01GONE' ? 404 : 200));
  const done = await run('--older-than', '5m');
  assert.equal(done.exit, 0, done.text);
  assert.deepEqual(asked, [
    'GET /status.json',
    'POST /kill/01OLD',
    'POST /kill/01GONE',
    'POST /kill/01LATER',
  ]);
  assert.equal(
    done.text,
    [
      '01OLD  `quota get` of anna@support for alice@example.com at mail1, after 5 min: ended; it may have run',
      '01GONE  `quota get` of anna@support for \\x1b[31mred, after 15 min: had ended by itself',
      '01LATER  `-` of -, after 5 min 1 s: ended; it may have run',
      '2 commands ended\n',
    ].join('\n'),
  );
});

test('a dry run ends nothing; JSON has the same', async (t) => {
  const { asked, run } = await openDaemon(t, () => 200);
  const dry = await run('--older-than', '10m', '--dry-run');
  assert.match(dry.text, /^01GONE .*: would be ended\n1 command would be ended\n$/);
  assert.deepEqual(asked, ['GET /status.json']);
  const json = JSON.parse((await run('--older-than', '10m', '--json')).stdout.toString());
  assert.deepEqual([json.older_than_ms, json.dry_run], [600_000, false]);
  assert.deepEqual(
    json.commands.map(({ id, result }: { id: string; result: string }) => [id, result]),
    [['01GONE', 'ended']],
  );
});

test('nothing that old is no failure; a refusal ends it at once, with its exit code', async (t) => {
  const { run } = await openDaemon(t, () => 200);
  const none = await run('--older-than', '1h');
  assert.deepEqual([none.exit, none.text], [0, 'no command has run that long\n']);
  for (const [status, exit] of [
    [503, 1],
    [403, 77],
  ] as const) {
    const refusing = await openDaemon(t, () => status);
    const refused = await refusing.run('--older-than', '5m');
    assert.equal(refused.exit, exit, refused.text);
    assert.match(refused.stderr, new RegExp(`^${status} of the stand-in$`, 'm'));
    assert.equal(refusing.asked.length, 2, 'the others are not tried');
  }
  const odd = await openDaemon(t, () => 200, 'x');
  assert.equal((await odd.run('--older-than', '1s')).exit, 0);
});

test('either an id or a time, and a time above 0 with a unit: no time at all would end everything', async (t) => {
  const { asked, run } = await openDaemon(t, () => 200);
  for (const args of [
    [],
    ['01OLD', '--older-than', '5m'],
    ...['0s', '0m', '-5m', '5', ''].map((time) => ['--older-than', time]),
    ['01OLD', '--json'],
    ['01OLD', '--dry-run'],
  ])
    assert.equal((await run(...args)).exit, 64, args.join(' '));
  assert.deepEqual(asked, []);
});

test('an answer that is none of dovegate ends nothing, and is no bug of this program', async (t) => {
  const socket = await openStandIn(t, (_request, response) => response.end('<html>'));
  const done = await runWarm(['kill', '--socket', socket, '--older-than', '5m']);
  assert.equal(done.exit, 69, done.text);
  assert.match(done.text, /what answers there is not dovegate/);
});
