// Screen "now": what runs, what fails, what waits, for somebody who was woken up.

import { useState } from 'preact/hooks';
import type { JournalNow, RunningCommand, Trouble } from '../../gate/now/now.js';
import { loadedWords } from '../../gate/now/operator.js';
import { ownerWords } from '../../gate/outcome/owner.js';
import { bytesWords, countWords, durationWords, plural, rateWords } from '../../host/words/words.js';
import type { Done } from '../answers/api.js';
import { BackendsPart } from './backends-part.js';
import { Outcome } from './badge.js';
import { Confirm } from './dialog.js';
import { FirstSteps } from './first-steps.js';
import { IncidentsPart } from './incidents-part.js';
import { Ago, AsCommand, Button, Empty, Name, Panel, Sentence, Sentences, Sign, Tile, Time } from './kit.js';
import { useLive } from './live.js';
import { go, Link } from './location.js';
import { LocksPart } from './locks-part.js';
import { pathOf, type ScreenProps } from './route.js';
import {
  causesOf,
  commonWords,
  failedTone,
  journalState,
  runningLine,
  waitingTone,
  whoAsked,
} from './running.js';
import { mayDo, useSession } from './session.js';
import { type Column, Table } from './table.js';
import { Traffic } from './traffic-part.js';

export function NowScreen({ query }: ScreenProps) {
  const isKnown = useLive(({ now }) => now !== undefined);
  const session = useSession();
  const [killing, setKilling] = useState<RunningCommand | undefined>();
  if (!isKnown) return <Empty>Waiting for the first news of the daemon …</Empty>;
  if (session.me.users !== undefined && !mayDo(session, 'view', 'operate'))
    return (
      <>
        <Tiles />
        <BackendsPart />
        <Empty>
          Your role shows what concerns <Name value={session.me.users.join(' ')} max={300} /> in the trail.
          Which commands run and fail is for people with the role view or operate.
        </Empty>
      </>
    );
  return (
    <>
      <Tiles />
      <FirstSteps />
      <Traffic query={query} />
      <IncidentsPart />
      <Configuration />
      <Running onKill={setKilling} />
      {mayDo(session, 'operate') && <LocksPart />}
      <Panel title="Denied and failed" controls={<CountedSince />} isTable>
        <Troubles />
      </Panel>
      <BackendsPart />
      <AsCommand>sudo dovegate status</AsCommand>
      {killing !== undefined && <Kill command={killing} onClose={() => setKilling(undefined)} />}
    </>
  );
}

function CountedSince() {
  const since = useLive(({ now }) => now?.troublesSince);
  if (since === undefined) return null;
  return (
    <span class="faint">
      counted since <Time at={since} isExact />
    </span>
  );
}

function Tiles() {
  const tiles = useLive(({ now }) => now?.tiles);
  // The start of the daemon: nothing is counted from before.
  const started = useLive(({ now }) => now?.head.started);
  if (tiles === undefined || started === undefined) return null;
  const { perSecond, history, failed, denied, waiting, oldestWaitMs, journal } = tiles;
  const since = history.length < stepsOfTenMinutes ? `since {${started}}` : 'in ten minutes';
  const most = Math.max(perSecond, ...history);
  const mean = history.reduce((sum, each) => sum + each, 0) / Math.max(1, history.length);
  return (
    <div class="tiles">
      <Tile title="Commands a second now" value={rateWords(perSecond)}>
        <Sparkline
          values={history}
          length={120}
          label={`Commands a second, of the last ten minutes at most: ${rateWords(perSecond)} now, ${rateWords(most)} at most.`}
        />
        <Sentences texts={[`${rateWords(mean)} on average, ${rateWords(most)} at most, ${since}`]} />
      </Tile>
      <Tile title="Failed" tone={failedTone(tiles)} value={countWords(failed)}>
        <Sentences texts={[`${since}; and ${plural(denied, 'was', 'were')} denied`]} />
      </Tile>
      <Tile title="Waiting" tone={waitingTone(tiles)} value={countWords(waiting)}>
        {waiting > 0 ? `the oldest for ${durationWords(oldestWaitMs)}` : 'no command waits for a backend'}
      </Tile>
      <JournalTile journal={journal} />
    </div>
  );
}

interface SparklineProps {
  /** Oldest first. */
  readonly values: readonly number[];
  /** The number of values of a full line; fewer values stand at its right. */
  readonly length: number;
  /** What it shows, for screen readers. */
  readonly label: string;
}

function Sparkline({ values, length, label }: SparklineProps) {
  const shown = values.slice(-length);
  const max = Math.max(1, ...shown);
  const x = (at: number): number => length - shown.length + at + 0.5;
  const y = (value: number): number => 31 - (value / max) * 29;
  const line = shown.map((value, at) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(' ');
  return (
    <svg
      class="sparkline"
      viewBox={`0 0 ${length} 32`}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      {shown.length > 1 && (
        <>
          <polygon points={`${x(0)},32 ${line} ${x(shown.length - 1)},32`} class="area" />
          <polyline points={line} class="line" />
        </>
      )}
      <line x1="0" y1="31.5" x2={length} y2="31.5" class="ground" />
    </svg>
  );
}

/** Since when the configuration is served. Its reloads, with what they changed, are among the incidents. */
function Configuration() {
  const loaded = useLive(({ now }) => now?.head.loaded);
  if (loaded === undefined) return null;
  return (
    <Panel title="Configuration" label="Configuration">
      <Sentences texts={[loadedWords(loaded)]} />
    </Panel>
  );
}

/** Steps of 5 s. */
const stepsOfTenMinutes = 119;

const receiverTones = { connected: 'good', connecting: 'warn', away: 'warn', forked: 'bad' } as const;

function JournalTile({ journal }: { readonly journal: JournalNow }) {
  const { seq, unsyncedMs, freeBytes, missingSeq, receivers } = journal;
  const { tone, word } = journalState(journal);
  return (
    <Tile title="Journal" tone={tone} value={word}>
      <p>
        record {countWords(seq)}
        {unsyncedMs > 1000 && `, on disk ${durationWords(unsyncedMs)} late`}
        {freeBytes !== undefined && `, ${bytesWords(freeBytes)} free`}
      </p>
      {missingSeq !== undefined && (
        <p>
          <Sign tone="bad">records up to {countWords(missingSeq)} are missing</Sign>
        </p>
      )}
      {receivers.map((receiver) => (
        <p key={receiver.name}>
          <Sign tone={receiverTones[receiver.state]}>
            <Name value={receiver.name} max={24} /> {receiver.state}
            {receiver.lagRecords > 0 && `, ${plural(receiver.lagRecords, 'record', 'records')} behind`}
          </Sign>
        </p>
      ))}
    </Tile>
  );
}

function Running({ onKill }: { readonly onKill: (command: RunningCommand) => void }) {
  const session = useSession();
  const rows = useLive(({ now }) => now?.running) ?? [];
  const count = useLive(({ now }) => now?.runningCount) ?? 0;
  const waiting = useLive(({ now }) => now?.waitingCount) ?? 0;
  const mayKill = mayDo(session, 'operate');
  const columns: (Column<RunningCommand> | false)[] = [
    { title: 'who', cell: (row) => <Name value={whoAsked(row)} max={36} /> },
    {
      title: 'command',
      kind: 'short',
      line: 1,
      grows: true,
      cell: (row) => <Name value={row.command} max={32} isCode />,
    },
    mayDo(session, 'audit') && { title: 'user', cell: (row) => <Name value={row.user} /> },
    {
      title: 'backend',
      cell: (row) =>
        row.backend === undefined ? (
          <span class="faint">waits for one</span>
        ) : (
          <>
            {row.isWaiting === true && <span class="faint">waits for </span>}
            <Name value={row.backend} />
          </>
        ),
    },
    { title: 'for', kind: 'number', line: 1, cell: (row) => durationWords(row.durationMs) },
    {
      title: 'of its time',
      kind: 'wide',
      cell: (row) => (
        <>
          <Deadline command={row} />
          {row.isOverdue === true && (
            <p class="why">
              <Sign tone="warn">overdue: its client has been answered, and the backend goes on</Sign>
            </p>
          )}
          {row.clientMs !== undefined && (
            <p class="why">
              <Sign tone="warn">slow client: it has taken nothing for {durationWords(row.clientMs)}</Sign>
            </p>
          )}
        </>
      ),
    },
    mayKill && {
      title: 'kill',
      kind: 'action',
      cell: (row) => (
        <Button kind="small" onClick={() => onKill(row)} label={`kill ${runningLine(row)}`} title="key: K">
          kill
        </Button>
      ),
    },
  ];
  return (
    <Panel
      title="Running now"
      count={`${countWords(count - waiting)}${waiting > 0 ? `, waiting ${countWords(waiting)}` : ''}`}
      isTable
    >
      <Table
        label="Commands that run now, oldest first, then those that wait"
        rows={rows}
        columns={columns}
        keyOf={(row) => row.id}
        empty={
          <span class="wide-only">
            No command runs at this moment. Most take a few milliseconds; the sparkline above has them all.
          </span>
        }
        onKey={(key, row) => {
          if (key !== 'K' || !mayKill) return false;
          onKill(row);
          return true;
        }}
      />
      {count > rows.length && (
        <p class="faint inside">
          {rows.length} of {countWords(count)}: those that run, then those that wait, the oldest first.
        </p>
      )}
    </Panel>
  );
}

function Deadline({ command: { durationMs, deadlineMs = 0 } }: { readonly command: RunningCommand }) {
  if (deadlineMs <= 0) return <span class="faint">no deadline</span>;
  const share = Math.min(1, durationMs / deadlineMs);
  const tone = share > 0.9 ? 'bad' : share > 0.6 ? 'warn' : '';
  const words = `${Math.round(share * 100)} % of ${durationWords(deadlineMs)}`;
  return (
    <span class="deadline">
      <svg class={`meter ${tone}`} viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
        <rect width="100" height="8" class="ground" />
        <rect width={Math.round(share * 100)} height="8" class="filled" />
      </svg>
      <span class="faint number">{words}</span>
    </span>
  );
}

function Kill({ command, onClose }: { readonly command: RunningCommand; readonly onClose: () => void }) {
  const isRunning = useLive(({ now }) => now?.running.some(({ id }) => id === command.id) === true);
  const { api } = useSession();
  return (
    <Confirm
      title="End this command?"
      doit="End it"
      isDanger
      obstacle={isRunning ? undefined : 'It has ended by itself.'}
      onDo={async () => (await api.json<Done>('POST /api/kill/:id', { params: [command.id] })).text}
      onClose={onClose}
    >
      <Sentences texts={[runningLine(command)]} kind="repeated" />
      <p>
        Its client gets an error. What the backend did already stays done. The journal records who ended it.
        In a terminal: <code>sudo dovegate kill {command.id}</code>
      </p>
    </Confirm>
  );
}

function Troubles() {
  const causes = causesOf(useLive(({ now }) => now?.troubles) ?? []);
  const [opened, setOpened] = useState<string | undefined>();
  const session = useSession();
  const isAuditor = mayDo(session, 'audit');
  const seesRules = isAuditor && session.me.users === undefined;
  const rows = causes.flatMap((cause): readonly TroubleRow[] => {
    const key = causeKey(cause);
    if (cause.rows.length < 2) return cause.rows;
    return key === opened ? [cause, ...cause.rows] : [cause];
  });
  const onOpen = (row: TroubleRow): void => {
    if (row.rows !== undefined) setOpened(causeKey(row) === opened ? undefined : causeKey(row));
    else if (row.id !== undefined) go(pathOf('/trail/:id', row.id));
  };
  const columns: (Column<TroubleRow> | false)[] = [
    {
      title: 'outcome',
      line: 1,
      cell: (row) => (
        <>
          <Outcome outcome={row.kind} />
          {row.count !== undefined && <strong class="number"> {countWords(row.count)}×</strong>}
          {row.recorded !== undefined && (
            <span class="faint"> {countWords(row.recorded)} of them with a record</span>
          )}
        </>
      ),
    },
    {
      title: 'command',
      kind: 'short',
      line: 1,
      grows: true,
      cell: (row) =>
        row.rows === undefined ? (
          <Name value={row.command} max={32} isCode />
        ) : (
          <Name value={commonWords(row.rows, ({ command = '' }) => command, 'commands')} max={32} />
        ),
    },
    {
      title: 'who',
      cell: (row) =>
        row.rows === undefined ? (
          <Name value={whoAsked(row)} />
        ) : (
          <Button kind="small" isOpen={causeKey(row) === opened} onClick={() => onOpen(row)}>
            {commonWords(row.rows, whoAsked, 'requesters')}
          </Button>
        ),
    },
    isAuditor && {
      title: 'user',
      line: 0,
      // Equal rows may concern different mail users.
      cell: ({ rows: several, count, user }) =>
        several === undefined && (
          <>
            {count !== undefined && user !== undefined && <span class="faint">last </span>}
            <Name value={user} />
          </>
        ),
    },
    { title: 'backend', line: 0, cell: (row) => <Name value={row.backend} /> },
    {
      title: 'why, and the cause',
      kind: 'wide',
      line: 2,
      grows: true,
      cell: (row) => <Why row={row} seesRules={seesRules} />,
    },
    {
      title: 'when',
      line: 1,
      cell: (row) => (
        <>
          <Time at={row.at} isExact />{' '}
          <span class="faint ago wide-only">
            <Ago at={row.at} /> ago
          </span>
          {row.count !== undefined && row.since !== undefined && (
            <p class="why faint wide-only">
              since <Time at={row.since} isExact />
            </p>
          )}
        </>
      ),
    },
    isAuditor && {
      title: 'exchange',
      kind: 'action',
      line: 0,
      cell: ({ rows: several, id }) =>
        id !== undefined && several === undefined && <Link to={pathOf('/trail/:id', id)}>exchange</Link>,
    },
  ];
  return (
    <div class="troubles">
      <Table
        label="The last commands that were denied or failed, by cause, newest first"
        rows={rows}
        columns={columns}
        keyOf={(row) =>
          row.rows === undefined
            ? `${row.since ?? row.at} ${row.kind} ${whoAsked(row)} ${row.command ?? ''} ${row.backend ?? ''} ${row.text}`
            : causeKey(row)
        }
        empty="Nothing was denied and nothing failed lately. Here the last causes would stand, each with its commands."
        opens={({ rows: several, id }) => several !== undefined || (isAuditor && id !== undefined)}
        onOpen={onOpen}
      />
      {!isAuditor && rows.length > 0 && (
        <p class="faint inside">
          Mail users, and the records of these commands, are shown to people with the role audit.
        </p>
      )}
    </div>
  );
}

type TroubleRow = Trouble & { readonly rows?: readonly Trouble[] };

function causeKey({ kind, backend = '', text, policy = '' }: Trouble): string {
  return `${kind} ${backend} ${policy} ${text}`;
}

interface WhyProps {
  readonly row: Trouble;
  /** True for people who see all mail users: only they may open the screen Access. */
  readonly seesRules: boolean;
}

function Why({ row, seesRules }: WhyProps) {
  const { text, policy, next } = row;
  return (
    <>
      <Sentence text={text} />
      <p class="why faint wide-only">
        cause: <Name value={ownerWords(row.owner, row)} max={60} />
        {seesRules && policy !== undefined && (
          <>
            {': '}
            <Link to={`/access?policy=${encodeURIComponent(policy)}`}>its rules</Link>
          </>
        )}
        {row.kind === 'denied' && row.owner === 'policy' && '. Nothing was sent'}
        {next !== undefined && <Name value={`. Next: ${next}`} max={400} />}
      </p>
    </>
  );
}
