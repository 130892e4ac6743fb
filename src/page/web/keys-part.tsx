// Part of the screen "access": all accounts, keys and certificates. What ends first stands first, and what nobody uses is marked.

import { countWords } from '../../host/words/words.js';
import type { KeysTable } from '../answers/api.js';
import { useAnswer } from './asked.js';
import { Name, Panel, Pending, Sign, Time } from './kit.js';
import { useLive } from './live.js';
import { certificateLeft } from './running.js';
import { useSession } from './session.js';
import { type Column, Table } from './table.js';

type Row = KeysTable['rows'][number];

const kinds: Readonly<Record<Row['kind'], string>> = {
  account: 'account',
  key: 'HTTP key',
  certificate: 'certificate',
};

export function KeysPart() {
  const { api } = useSession();
  const configuration = useLive(({ now }) => now?.head.configHash);
  const minute = useLive(({ now }) => now && `${now.at.slice(0, 16)}:00Z`);
  // Asked again each minute, so that "last use" is up to date.
  const { value, fault } = useAnswer(`keys ${configuration} ${minute}`, (signal) =>
    api.json<KeysTable>('GET /api/keys', { signal }),
  );
  if (value === undefined) return <Pending fault={fault}>Reading the keys …</Pending>;
  const at = minute ?? value.since;
  const columns: Column<Row>[] = [
    { title: 'name', line: 1, grows: true, cell: (row) => <What row={row} /> },
    { title: 'kind', line: 1, cell: ({ kind }) => kinds[kind] },
    { title: 'policy', isNamed: true, cell: (row) => <Name value={row.policy} /> },
    { title: 'ends', line: 3, isNamed: true, cell: (row) => <Ends row={row} now={at} /> },
    {
      title: 'last use',
      line: 3,
      isNamed: true,
      cell: (row) => <Used row={row} since={value.since} now={at} />,
    },
    {
      title: 'failed sign-ins',
      isNamed: true,
      line: 3,
      cell: (row) =>
        row.failures === undefined ? (
          <span class="faint nothing">–</span>
        ) : row.failures === 0 ? (
          <span class="faint">none</span>
        ) : (
          <>
            <Sign tone="warn">{countWords(row.failures)}</Sign>
            {row.lastFailed !== undefined && (
              <p class="why faint">
                last <Time at={row.lastFailed} /> from <Name value={row.failedFrom} />
              </p>
            )}
          </>
        ),
    },
  ];
  return (
    <>
      <Panel title="Accounts, keys and certificates" count={countWords(value.rows.length)} isTable>
        <Table
          label="Accounts, keys and certificates"
          rows={value.rows}
          columns={columns}
          keyOf={({ kind, listener = '', name, what }) => `${kind} ${listener} ${name} ${what}`}
          toneOf={(row) => rowTone(row, at)}
          empty={
            <>
              There are none: every listener is a UNIX socket, where the kernel says who asks. Accounts and
              keys stand under a listener with "tcp".
            </>
          }
        />
      </Panel>
      <p class="faint">
        Failures are counted since <Time at={value.since} />, the start of dovegate. The last use is the last
        sign-in or command; one before the start is looked for in the journal.
      </p>
    </>
  );
}

/** More than a few typing mistakes. */
const failuresMin = 3;

function rowTone({ ends, failures = 0 }: Row, now: string): string | undefined {
  const tone = ends === undefined ? 'quiet' : certificateLeft(ends, now).tone;
  if (tone !== 'quiet') return `tone-${tone}`;
  return failures >= failuresMin ? 'tone-warn' : undefined;
}

function What({ row }: { readonly row: Row }) {
  const { name, listener, what } = row;
  return (
    <>
      <strong>
        <Name value={name} />
      </strong>
      <br />
      <span class="faint">
        {listener !== undefined && <Name value={`at ${listener}${what === '' ? '' : ', '}`} />}
        {what !== '' && <Name value={what} max={100} />}
      </span>
    </>
  );
}

function Ends({ row, now }: { readonly row: Row; readonly now: string }) {
  if (row.ends === undefined)
    return <span class="faint">{row.kind === 'certificate' ? 'not known' : 'no end'}</span>;
  const { tone, word } = certificateLeft(row.ends, now);
  return tone === 'quiet' ? <span>{word}</span> : <Sign tone={tone}>{word}</Sign>;
}

const unusedMs = 90 * 86_400_000;

/** A daemon that started recently cannot tell which keys are unused. */
function Used({ row, since, now }: { readonly row: Row; readonly since: string; readonly now: string }) {
  if (row.kind === 'certificate') return <span class="faint nothing">–</span>;
  if (row.lastUsed === undefined)
    return Date.parse(now) - Date.parse(since) > unusedMs ? (
      <Sign tone="warn">no use found</Sign>
    ) : (
      <span class="faint">no use found</span>
    );
  return (
    <>
      {row.isUnused ? (
        <Sign tone="warn">
          unused for 90 days: <Time at={row.lastUsed} />
        </Sign>
      ) : (
        <Time at={row.lastUsed} />
      )}
      {row.lastFrom !== undefined && (
        <p class="why faint">
          from <Name value={row.lastFrom} />
        </p>
      )}
    </>
  );
}
