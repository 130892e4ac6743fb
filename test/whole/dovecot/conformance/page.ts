// docs/conformance.md, from what a full run counted.
import { allSeries, commandsOf } from '../../../../src/doveadm/commands/catalog.js';
import { allowedDifferences } from '../http-differences.js';
import { httpKey, ownRows, rules } from './differences.js';
import { leftOut } from './lines.js';
import { explain, type Tally } from './run.js';

/** The list of explained differences without its counts: what the page must have of the code. */
export function explainedRows(): readonly (readonly [key: string, text: string])[] {
  return ownRows.map(({ key, what, promise }) => [key, `${what}. ${promise}`]);
}

function sum(tallies: readonly Tally[], of: (tally: Tally) => number): number {
  return tallies.reduce((all, tally) => all + of(tally), 0);
}

function explainedIn(tally: Tally): number {
  return [...explain(tally).explained.values()].reduce((all, count) => all + count, 0);
}

/** A row for each client, a column for each release. */
function pairs(tallies: readonly Tally[]): string {
  const versions = [...new Set(tallies.map(({ version }) => version))];
  const clients = [...new Set(tallies.map(({ client }) => client))];
  const body = clients.map((client) => [
    client,
    ...versions.map((version) => {
      const tally = tallies.find((one) => one.client === client && one.version === version);
      if (tally === undefined) return '';
      return `${tally.equal}+${explainedIn(tally)} (${tally.done.size}/${tally.commands.size})`;
    }),
  ]);
  const lines = [['client', ...versions], ['---', ...versions.map(() => '---')], ...body];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

export function pageOf(tallies: readonly Tally[], everywhere: readonly string[]): string {
  const names = new Set(allSeries.flatMap((series) => commandsOf(series).map(({ name }) => name)));
  const compared = new Set(tallies.flatMap(({ commands }) => [...commands]));
  const done = new Set(tallies.flatMap((tally) => [...tally.done]));
  const answers = sum(tallies, (tally) => tally.answers);
  const equal = sum(tallies, (tally) => tally.equal);
  const explained = sum(tallies, explainedIn);
  const counts = (key: string): number => sum(tallies, (tally) => explain(tally).explained.get(key) ?? 0);
  const releases = new Set(tallies.map(({ version }) => version));
  return `# Conformance

For those who ask whether their Dovecot and their programs work with dovegate. This page is generated:

\`\`\`
npm run lab -- conformance                       all releases, this page; root, on a Debian; the first run makes the releases' roots
npm run lab -- conformance --releases "bookworm trixie"  these only, and no page
\`\`\`

Each command line goes to a Dovecot directly, and to its twin with the same mail through dovegate, with a policy that
allows everything. The two answers are compared byte for byte: the bytes of the connection, stdout, stderr and exit code
of programs, the rows and log lines of the library, status and body over HTTP. A difference that this page does not
explain is a failure.

- ${releases.size} releases of Dovecot, ${tallies.length} pairs of a release and a client, ${compared.size} of the catalog's ${names.size} commands.
- ${answers} answers: ${equal} equal, ${explained} explained, ${answers - equal - explained} neither.
- ${done.size} commands succeeded at least once. The others failed alike: their plugins, services or filters are not set up.

\`2.4.5 as minor 3\` announces to dovegate what 2.4.2 to 2.4.4 announce, which no Debian has; \`as minor 5\` announces a
minor that no release has yet (\`newer: serve\`).

The real \`doveadm\` sends mail commands only, from its own root, in the formats tab, table, flow, pager and json. Those
of ${everywhere.join(' and ')} are used with every release, the others with their own. Debian has no package of
Net::Doveadm; the tests have a program that behaves like it.

Recorded sessions of five releases, and a runner that plays them to any client or server, are a package of its own:
\`npm run package -- --only vectors\`.

## Pairs

Each cell: equal answers + explained ones (commands that succeeded / commands compared).

${pairs(tallies)}

## Explained differences

How many, what differs, and what dovegate promises. The counts are of one run of each line.

${explainedRows()
  .map(([key, text]) => `- \`${key}\` (${counts(key)}): ${text}`)
  .join('\n')}

Over HTTP, by the keys of [client-http](client-http.md#what-differs-from-dovecot-and-why): ${allowedDifferences
    .map(([reason]) => `\`${reason}\` ${counts(httpKey(reason))}`)
    .join(', ')}.

## What is not compared

Replaced in both answers before they are compared (${sum(tallies, (tally) => tally.byRule)} answers are equal only so):

${rules.map(({ what }) => `- ${what}`).join('\n')}

Left out:

${[...leftOut].map(([name, why]) => `- \`${name}\`: ${why}.`).join('\n')}
- Server commands of the real \`doveadm\`: it never sends them to a socket that it is given.
- \`-A\` and masks of \`dovegate send\`: it has \`--users\` instead ([bulk runs](client-shell.md#one-command-for-many-users)).
`;
}
