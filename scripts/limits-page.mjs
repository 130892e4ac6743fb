// docs/limits.md: the table of bounds of the built program, by who causes what.
import { table } from '../dist/bounds/bounds.js';

const head = `# Limits

For an operator who asks what somebody can make the gate hold or do at most. \`node scripts/make-limits.mjs\` writes this
page from the table that the code takes its limits from (\`src/bounds/\`). A value with the name of a setting is the default
of that setting.

The last column names the source that enforces a limit, below \`src/\`, and a test that reaches it, below \`test/\`.
`;

const sections = {
  stranger: ['Strangers', 'Anybody who can open a connection and has not proved who they are.'],
  principal: ['Clients', 'A person or a program that a listener has let in.'],
  backend: [
    'Backends',
    'A Dovecot, and its auth service; also what it can cause in `dovegate send` and the client library.',
  ],
  receiver: [
    'Receivers and journals',
    'A receiver of records; and a journal that was forged or damaged, in the programs that read it.',
  ],
  person: ['People on the page', 'A person who is named in `admin.page.people`, or an auditor.'],
  operator: ['Operators and files', 'A configuration, a file, or a command of an operator.'],
};

const tail = `## What can go wrong

- **A limit is too low for you.** Change its setting. A limit without a setting protects other clients; report it if real
  work meets it.
- **Memory grows all the same.** What is here adds up: sessions, upstreams and caches each have their own limit. Set
  \`MemoryMax=\` of the unit above the sum that your settings permit.
`;

function writtenValue({ value }) {
  return typeof value === 'number'
    ? String(value)
    : value.replace(/^(\d+)(\D+)$/, (_, number, unit) => `${number} ${unit === 'm' ? 'min' : unit}`);
}

/** The page, with tables as short as they come. */
export function formatLimitsPage() {
  const parts = Object.entries(table).map(([who, rows]) => {
    const [title, meaning] = sections[who];
    const lines = Object.values(rows).map((row) => {
      const value =
        row.setting === undefined ? writtenValue(row) : `${writtenValue(row)} (\`${row.setting}\`)`;
      return `| ${row.thing} | ${value} | ${row.scope} | ${row.holds} | \`${row.at}\`, \`${row.test}\` |`;
    });
    return `## ${title}\n\n${meaning}\n\n| What | At most | For each | Bounds | Enforced, tested |\n| --- | --- | --- | --- | --- |\n${lines.join('\n')}\n`;
  });
  return `${head}\n${parts.join('\n')}\n${tail}`;
}
