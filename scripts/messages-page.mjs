// Generates docs/messages.md: every code of the program, its meaning and its remedy. The texts come from the files that define the codes,
// in the built program (`npm run build:test` first).

import { codes as saidCodes } from '../build/src/doveadm/codes/codes.js';
import { decisionCodes } from '../build/src/doveadm/codes/decisions.js';
import { policyOutcomes } from '../build/src/doveadm/codes/outcomes.js';
import { exitCodeOf } from '../build/src/doveadm/reply/reply.js';
import { foundCodes } from '../build/src/gate/now/found-codes.js';
import { lookupCodes, noticeCodes, shipCodes } from '../build/src/gate/telemetry/codes.js';
import { logCodes } from '../build/src/gate/telemetry/log-codes.js';
import { journalCodes } from '../build/src/host/ports/faults.js';
import { closeReasons } from '../build/src/host/ports/transport.js';
import { problemCodes } from '../build/src/rules/config/problem.js';

/** All of `exitCodes`. */
const exits = {
  0: ['it was done'],
  1: ['a check failed, or the request was not carried out', 'read the output'],
  64: ['wrong usage, or a command that the daemon answers with `-USAGE`', '`--help`'],
  65: [
    'records of a journal are missing, and the answer is without them',
    '`dovegate audit verify` says which',
  ],
  69: ['no daemon there', 'start it; look at `--config` or `--socket`'],
  70: ['a bug of ours', 'report it, with the output'],
  75: ['a command that policy allows and that cannot be carried out now', '`dovegate explain` says why'],
  77: ['not permitted', '`dovegate explain` says what is missing'],
  78: ['the configuration, or a socket or journal that is taken', '`dovegate check`'],
};

function item(code, levels, means, ask = '') {
  return { text: `- \`${code}\`${levels.length === 0 ? '' : ` (${levels.join(', ')})`}: ${means}.`, ask };
}

/** So many items with one remedy stand below it; the others have their own. */
const sharedFrom = 4;

function listed(items) {
  const shared = [...new Set(items.map(({ ask }) => ask))].filter(
    (ask) => ask !== '' && items.filter((one) => one.ask === ask).length >= sharedFrom,
  );
  const own = items.filter(({ ask }) => !shared.includes(ask));
  const lists = shared.map((ask) => [
    `**Do**, for each of these: ${ask}.\n`,
    ...items.filter((one) => one.ask === ask).map(({ text }) => text),
  ]);
  return [own.map(({ text, ask }) => (ask === '' ? text : `${text} **Do:** ${ask}.`)), ...lists]
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

function codes(found) {
  return listed(Object.entries(found).map(([code, [means, ask]]) => item(code, [], means, ask)));
}

const repeats = {
  safe: 'nothing ran; try again',
  useless: 'nothing ran',
  unsafe: 'may have run',
};

/** By what a client may do next, so that no row repeats it. */
function said() {
  const groups = new Map();
  for (const [code, { status, repeat, means, ask }] of Object.entries(saidCodes)) {
    const isStatus = status !== '' && !status.startsWith('HTTP');
    const name = isStatus ? `\`-${status}\`, exit code ${exitCodeOf(status)}` : status || 'No status';
    const head = `### ${name}: ${repeats[repeat]}`;
    groups.set(head, [...(groups.get(head) ?? []), item(code, [], means, ask)]);
  }
  return [...groups].map(([head, items]) => `${head}\n\n${listed(items)}`).join('\n\n');
}

export function formatMessages() {
  return `# Codes

What each code that dovegate writes means, and what to do. For somebody who reads a log line, a record or a message.

This line says that the backend mail1 refused dovegate's password. Look up \`event\`, then \`type\`, \`error\` or \`reason\`:

\`\`\`
{"level":"error","time":"...","event":"dial-failed","backend":"mail1","type":"auth-rejected","text":"..."}
\`\`\`

- \`event\` of a log line: [lines of the log](#lines-of-the-log-event)
- \`error\` of a record or a log line, \`type\` of \`dial-failed\`, \`[CODE]\` of a line for clients, \`code\` over HTTP:
  [commands that were denied or failed](#commands-that-were-denied-or-failed-error)
- \`denial\` of a record: [what policy said](#decisions-denial-of-a-record-code-of-dovegate-explain---json)
- \`reason\` of a session or an upstream: [why it ended](#why-a-session-or-an-upstream-ended-reason)
- \`type\` of \`audit-failed\`: [the journal](#the-journal-type-of-audit-failed); of \`ship-away\`:
  [receivers of records](#receivers-of-records-type-of-ship-away)
- \`problems\` of \`status --json\`: [what is wrong now](#what-is-wrong-now-problems-of-dovegate-status---json)
- \`check --json\`: [problems](#problems-of-a-configuration-code-of-dovegate-check---json)
- the exit code of a program: [exit codes](#exit-codes)

_Client_ and _peer_ are who asks dovegate; _backend_ and _upstream_ are a Dovecot and a connection to it. Without
"Do" there is nothing to do. Codes are [never renamed](stability.md), sentences may change. In the log, \`type\`, \`error\`
and \`reason\` are codes, \`text\` is a sentence, and \`count\` says how many. This page is made from the program
(\`node scripts/make-messages.mjs\`).

## Lines of the log: \`event\`

An event has at most 20 lines a second for each listener, backend or receiver (1,000 of level debug). A line
\`suppressed\` has the number of those that were not written.

${listed(Object.entries(logCodes).map(([code, [levels, means, ask]]) => item(code, levels, means, ask)))}

## Commands that were denied or failed: \`error\`

Clients read these codes too: in [lines of dovegate](protocol-notes.md#log-lines) on the log channel, over HTTP as
\`code\` of an error, or in the header \`Dovegate-Code\` of a request that is refused whole. **Without a code, and with an
unknown one, the command may have run.** "No status": the backend's own, or the answer is still to come.

${said()}

\`lookup-CODE\` is about Dovecot's auth service, with one of the codes below (they are also the \`type\` of \`lookup-failing\`):

${codes(lookupCodes)}

## Decisions: \`denial\` of a record, \`code\` of \`dovegate explain --json\`

${codes(decisionCodes)}

## Outcomes: \`would\` and \`shadow\` of a record, \`outcome\` of \`dovegate explain --json\`

What the rules of a policy that observes, or its candidate, would do with the command, where that differs from what was done.

${codes(Object.fromEntries(Object.entries(policyOutcomes).map(([kind, does]) => [kind, [does]])))}

## Why a session or an upstream ended: \`reason\`

${codes(closeReasons)}

## The journal: \`type\` of \`audit-failed\`

${codes(journalCodes)}

## Receivers of records: \`type\` of \`ship-away\`

${codes(shipCodes)}

## Receivers of notices: \`type\` of \`notices-away\`

${codes(noticeCodes)}

## What is wrong now: \`problems\` of \`dovegate status --json\`

Those first from which commands suffer now: \`degrading\`, and red on the page. Then those to look at. Without **Do:**
as for the event of that name.

${codes(foundCodes)}

## Problems of a configuration: \`code\` of \`dovegate check --json\`

${codes(problemCodes)}

## Exit codes

${codes(exits)}
`;
}
