// docs/conformance.md, from what a full run counted.
import { allSeries, commandsOf } from '../../../src/domain/commands/catalog.js';
import { rows, rules } from './differences.js';
import { leftOut } from './lines.js';
import { explain, type Tally } from './run.js';

function table(heads: readonly string[], body: readonly (readonly (string | number)[])[]): string {
  const lines = body.map(
    (cells) => `| ${cells.map((one) => String(one).replaceAll('|', '\\|')).join(' | ')} |`,
  );
  return [`| ${heads.join(' | ')} |`, `|${heads.map(() => ' --- |').join('')}`, ...lines].join('\n');
}

/** The table of explained differences without its counts: what the page must have of the code. */
export function explainedRows(): readonly (readonly [key: string, what: string, promise: string])[] {
  return rows.map(({ key, what, promise }) => [`\`${key}\``, what, promise]);
}

function sum(tallies: readonly Tally[], of: (tally: Tally) => number): number {
  return tallies.reduce((all, tally) => all + of(tally), 0);
}

function explainedIn(tally: Tally): number {
  return [...explain(tally).explained.values()].reduce((all, count) => all + count, 0);
}

export function pageOf(tallies: readonly Tally[], everywhere: readonly string[]): string {
  const names = new Set(allSeries.flatMap((series) => commandsOf(series).map(({ name }) => name)));
  const compared = new Set(tallies.flatMap(({ commands }) => [...commands]));
  const done = new Set(tallies.flatMap((tally) => [...tally.done]));
  const never = [...compared].filter((name) => !done.has(name)).toSorted();
  const answers = sum(tallies, (tally) => tally.answers);
  const equal = sum(tallies, (tally) => tally.equal);
  const explained = sum(tallies, explainedIn);
  const releases = new Set(tallies.map(({ version }) => version));
  return `# Conformance

For those who ask whether their Dovecot and their programs work with dovegate. This page is generated:

\`\`\`
npm run lab -- conformance                       all releases, this page; root, on a Debian; the first run makes the releases' roots
npm run lab -- conformance --releases "bookworm trixie"  these only, and no page
\`\`\`

Each command line goes to a Dovecot directly, and to its twin with the same mail through dovegate, with a policy that allows
everything. The two answers are compared byte for byte: the bytes of the connection, stdout, stderr and exit code of programs, the
rows and log lines of the library, status and body over HTTP. A difference without a row of the second table is a failure.

- ${releases.size} releases of Dovecot, ${tallies.length} pairs of a release and a client, ${compared.size} of the catalog's ${names.size} commands.
- ${answers} answers: ${equal} equal, ${explained} explained, ${answers - equal - explained} neither.
- ${done.size} commands succeeded at least once. The others failed alike: their plugins, services or filters are not set up.

\`2.4.5 as minor 3\` is that server, announcing to dovegate what 2.4.2 to 2.4.4 announce, which no Debian has; \`as minor 5\` one that is newer
than any known (\`newer: serve\`). dovegate and servers up to minor 3 mark the channels by PACKET, later ones by STREAM; its clients get PACKET.

The real \`doveadm\` sends mail commands only, from its own root, in the formats tab, table, flow, pager and json. Those of ${everywhere.join(' and ')}
ask every release, the others their own. Debian has no package of Net::Doveadm; its behavior is written anew in the tests.

## Pairs

${table(
  ['Dovecot', 'client', 'commands', 'succeeded', 'answers', 'equal', 'explained'],
  tallies.map((tally) => [
    tally.version,
    tally.client,
    tally.commands.size,
    tally.done.size,
    tally.answers,
    tally.equal,
    explainedIn(tally),
  ]),
)}

## Explained differences

${table(
  ['difference', 'of what', 'promise', 'answers'],
  rows.map(({ key, what, promise }) => [
    `\`${key}\``,
    what,
    promise,
    sum(tallies, (tally) => explain(tally).explained.get(key) ?? 0),
  ]),
)}

Those that begin with \`http-\` are the rows of [client-http](client-http.md). The counts are of one run of each line.

## What is not compared

Replaced in both answers before they are compared (${sum(tallies, (tally) => tally.byRule)} answers are equal only so):

${rules.map(({ what }) => `- ${what}`).join('\n')}

Left out:

${[...leftOut].map(([name, why]) => `- \`${name}\`: ${why}.`).join('\n')}
- Server commands of the real \`doveadm\`: it never sends them to a socket that it is given.
- \`-A\` and masks of \`dovegate send\`: it has \`--users\` instead ([bulk-runs](bulk-runs.md)).

Compared, and never carried out by these instances: ${never.map((name) => `\`${name}\``).join(', ')}.
`;
}
