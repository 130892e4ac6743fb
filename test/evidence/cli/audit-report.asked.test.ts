// A report over the socket of the page: what the daemon says that it left out speaks against the report.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { runWarm } from '../../kit/gate/warm-program.js';
import { openStandIn } from '../../whole/cli/stand-in.js';

const time = '2026-11-20T08:00:00.000Z';
const verdict = {
  faults: [],
  faultCount: 0,
  records: 9,
  firstSeq: 1,
  lastSeq: 9,
  firstTime: time,
  lastTime: time,
  retired: [],
  journal: 'J',
  signedSeq: 9,
  signedTime: time,
  signedBy: 'K',
  keys: ['K'],
  open: [],
  openCount: 0,
  forgotten: [],
  steps: [],
  isTorn: false,
  isNewer: false,
};

async function report(
  t: TestContext,
  notes: readonly string[],
  {
    users,
    mailbox = 'alice@example.com',
    rows = [],
    requests = [],
  }: {
    users?: readonly string[];
    mailbox?: string;
    rows?: readonly unknown[];
    requests?: readonly unknown[];
  } = {},
) {
  const answers = new Map<string | undefined, readonly unknown[]>([
    ['/trail/me', [{ name: 'eve', roles: ['audit'], users }]],
    ['/trail/verify', [{ end: { rows: 0, verdict } }]],
    ['/trail/report', [...rows, { end: { rows: rows.length, notes } }]],
    ['/trail/survey', [{ end: { rows: 0, surveyed: { records: 9, all: 9, names: [], isNamed: true } } }]],
    ['/trail/requests', requests],
  ]);
  const path = await openStandIn(t, (request, response) => {
    response.end((answers.get(request.url) ?? []).map((line) => `${JSON.stringify(line)}\n`).join(''));
  });
  return runWarm(['audit', 'report', '--mailbox', mailbox, '--socket', path]);
}

test('an answer that says what it left out is not complete', async (t) => {
  const whole = await report(t, []);
  assert.match(whole.text, /^complete from /m);
  assert.equal(whole.exit, 0);
  const { text, exit } = await report(t, ['7 commands without an end are left out: there are too many']);
  assert.match(text, /NOT proved complete[^]*7 commands without an end are left out/);
  assert.equal(exit, 1);
});

test('a command under a grant names its approvers and its reason', async (t) => {
  const fields = {
    time,
    id: 'X1',
    principal: 'bob@support',
    command: 'fetch',
    args: ['text', 'all'],
    user: 'alice@example.com',
    users: ['alice@example.com'],
    effect: 'read',
    decision: 'allow',
    outcome: 'ok',
    sent: true,
    grant: 'G1',
  };
  const row = { fields, admittedSeq: 3, completedSeq: 4, completedTime: time };
  const grant = {
    id: 'G1',
    reason: 'ticket 4711',
    said: { by: 'approved by carol@leads', used: '', end: '' },
  };
  const { text } = await report(t, [], {
    rows: [{ row }],
    requests: [{ access: grant }, { end: { rows: 1, sentences: [] } }],
  });
  assert.match(text, / ticket 4711 .*under grant G1, approved by carol@leads/);
});

test('in a limited view the first sentence says so, and a mailbox outside of it is refused', async (t) => {
  const users = ['*@example.com'];
  const part = await report(t, [], { users });
  assert.match(
    part.stdout.toString(),
    /^who .*\nOf what eve may see, no recorded command deleted anything\. But/,
  );
  assert.equal(part.exit, 1);
  const outside = await report(t, [], { users, mailbox: 'zoe@example.net' });
  assert.match(
    outside.stderr,
    /eve sees the records of \*@example\.com only.*\n.*"zoe@example\.net" is not one of these/,
  );
  assert.deepEqual([outside.exit, outside.stdout.length], [77, 0]);
});
