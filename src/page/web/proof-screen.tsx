// Screen "proof": whether the journal is whole, how that is known, a check of all of it, and who has copies.

import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import type { NoticesNow, Proof, VerifyProgress } from '../../evidence/views/proof.js';
import type { ReceiverNow } from '../../gate/now/now.js';
import { bytesWords, countWords, plural } from '../../host/words/words.js';
import { readEvents, useAgain, useTask } from './asked.js';
import { FleetPart } from './fleet-part.js';
import {
  AsCommand,
  Button,
  Empty,
  Facts,
  Fault,
  Name,
  Panel,
  Pending,
  Reading,
  Sentence,
  Sentences,
  Sign,
  Tile,
  Time,
} from './kit.js';
import { judgeProof, progressWords } from './proof.js';
import { useSession } from './session.js';
import { Table } from './table.js';

/** Interval of updates; shorter while somebody else's check runs. */
const lookMs = 15_000;
const watchMs = 2_000;

const noProgress: VerifyProgress = { bytes: 0, ofBytes: 0, seq: 0 };

export function ProofScreen() {
  const { api } = useSession();
  const {
    value: proof,
    fault,
    again,
  } = useAgain<Proof>(
    'proof',
    (known) => (known?.running === undefined ? lookMs : watchMs),
    (signal) => api.json<Proof>('GET /api/proof', { signal }),
  );
  if (proof === undefined) return <Pending fault={fault}>Looking at the journal …</Pending>;
  return (
    <>
      <Fault text={fault} />
      <Verdict proof={proof} />
      <Check running={proof.running} onOver={again} />
      {proof.last !== undefined && <Findings last={proof.last} />}
      {proof.fleet !== undefined && <FleetPart fleet={proof.fleet} />}
      <Stored proof={proof} />
      <Panel title="Copies elsewhere" isTable>
        <Table
          label="Receivers"
          rows={proof.receivers}
          keyOf={(row) => row.name}
          columns={[
            { title: 'receiver', cell: (row) => <Name value={row.name} /> },
            {
              title: 'state',
              cell: ({ state, text }) => (
                <State text={text}>
                  <Sign tone={states[state]}>{state === 'away' ? 'not reachable' : state}</Sign>
                </State>
              ),
            },
            {
              title: 'not sent yet',
              cell: (row) => (row.lagRecords === 0 ? 'nothing' : plural(row.lagRecords, 'record', 'records')),
            },
            { title: 'certainly there', cell: (row) => `up to record ${countWords(row.safeSeq)}` },
          ]}
          empty={
            <>
              No receiver is configured. Somebody who can write on this host can remove the whole journal; a
              copy elsewhere (audit.ship) shows that.
            </>
          }
        />
      </Panel>
      {proof.notices !== undefined && <NoticesPart receivers={proof.notices} />}
      <Words />
      <AsCommand>dovegate audit verify --socket PATH</AsCommand>
      {proof.fleet !== undefined && <AsCommand>dovegate audit fleet status</AsCommand>}
    </>
  );
}

function Verdict({ proof }: { readonly proof: Proof }) {
  const { tone, title, sentences, steps } = judgeProof(proof);
  return (
    <section class={`verdict ${tone}`} aria-label="What was proved">
      <h2>
        <Sign tone={tone}>{title}</Sign>
      </h2>
      <Sentences texts={sentences} />
      {steps.length > 0 && (
        <ol>
          {steps.map((text) => (
            <li key={text}>{text}</li>
          ))}
        </ol>
      )}
    </section>
  );
}

interface CheckProps {
  readonly running: Proof['running'];
  readonly onOver: () => void;
}

/** A check that this tab asked for, which ends when the screen is left, or somebody else's. */
function Check({ running, onOver }: CheckProps) {
  const { api } = useSession();
  const { said, isBusy, run, stop } = useTask();
  const [progress, setProgress] = useState(noProgress);
  const start = (): void =>
    run(async (signal) => {
      setProgress(noProgress);
      try {
        await readEvents(api, 'POST /api/verify', { signal }, 'result', ({ name, data }) => {
          if (name !== 'progress') return;
          const told: VerifyProgress = JSON.parse(data);
          setProgress(told);
        });
      } finally {
        onOver();
      }
      return '';
    });
  const shown = isBusy ? progress : running;
  return (
    <section aria-label="Check">
      {shown === undefined ? (
        <Button kind="main" onClick={start}>
          Check the whole journal
        </Button>
      ) : (
        <div class="checking">
          <p>
            {!isBusy && running !== undefined ? (
              <>
                A check for <Name value={running.by} /> runs since <Time at={running.since} isExact />:{' '}
              </>
            ) : (
              'Checking: '
            )}
            <span class="number">{progressWords(shown)}</span>
          </p>
          <Reading of={shown} />
          {!isBusy ? (
            <p class="faint">One check runs at a time. Its result will stand here.</p>
          ) : (
            <Button onClick={stop}>Stop</Button>
          )}
        </div>
      )}
      <Fault text={said} />
    </section>
  );
}

function Findings({ last }: { readonly last: NonNullable<Proof['last']> }) {
  return (
    <Panel title="What the check found">
      {last.findings.length === 0 ? (
        <Empty>No gap, no change, nothing retired: every record is there since the first one.</Empty>
      ) : (
        <ul class="findings">
          {last.findings.map(({ kind, text }) => (
            <li key={text}>
              <Sign tone={kind === 'fault' ? 'bad' : 'quiet'}>
                {kind === 'fault' ? <strong>Fault. </strong> : 'No fault. '}
                <Sentence text={text} />
              </Sign>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

function Stored({ proof }: { readonly proof: Proof }) {
  const { checkpoint, key, journal, seq, segments, bytes, oldestSeq } = proof;
  return (
    <Panel title="What lies on this host">
      <div class="tiles">
        <Tile title="newest record" value={countWords(seq)}>
          oldest: {oldestSeq === undefined ? 'not known' : countWords(oldestSeq)}
        </Tile>
        <Tile title="size" value={bytesWords(bytes)}>
          in {plural(segments, 'file', 'files')}
        </Tile>
        <Tile
          title="newest signature"
          value={checkpoint === undefined ? 'none yet' : <Time at={checkpoint.at} isExact />}
        >
          {checkpoint !== undefined && `up to record ${countWords(checkpoint.seq)}; `}
          {plural(Math.max(0, seq - (checkpoint?.seq ?? 0)), 'newer record is', 'newer records are')} not
          signed yet
        </Tile>
        <Tile title="lag of copies" value={lagWords(proof.receivers)}>
          {plural(proof.receivers.length, 'receiver', 'receivers')}
        </Tile>
      </div>
      <Facts
        kind="facts"
        rows={[
          ['Key that signs', <Name value={key} isCode max={60} />],
          ['Journal', <Name value={journal} isCode max={60} />],
        ]}
      />
      <p class="faint">
        Somebody who owns this host could make another journal with another key. So compare the key with one
        that you kept elsewhere.
      </p>
    </Panel>
  );
}

function lagWords(receivers: readonly ReceiverNow[]): string {
  if (receivers.length === 0) return 'no copies';
  const lag = Math.max(...receivers.map(({ lagRecords }) => lagRecords));
  return lag === 0 ? 'none' : plural(lag, 'record', 'records');
}

const states = { connected: 'good', connecting: 'quiet', away: 'bad', forked: 'bad' } as const;

function State({
  children,
  text,
}: {
  readonly children: ComponentChildren;
  readonly text: string | undefined;
}) {
  return (
    <>
      {children}
      {text !== undefined && <Sentences texts={[text]} kind="why" />}
    </>
  );
}

function NoticesPart({ receivers }: { readonly receivers: readonly NoticesNow[] }) {
  return (
    <Panel title="Notices of temporary access" isTable>
      <Table
        label="Receivers of notices"
        rows={receivers}
        keyOf={(row) => row.name}
        columns={[
          { title: 'receiver', cell: (row) => <Name value={row.name} /> },
          {
            title: 'state',
            cell: ({ state, text }) => (
              <State text={text}>
                {state === 'unknown' ? (
                  'unknown: none has been sent since dovegate ship was started'
                ) : (
                  <Sign tone={state === 'up' ? 'good' : 'bad'}>
                    {state === 'up' ? 'in order' : 'failing'}
                  </Sign>
                )}
              </State>
            ),
          },
          { title: 'delivered', cell: (row) => countWords(row.delivered) },
          { title: 'too old, dropped', cell: (row) => countWords(row.dropped) },
        ]}
        empty="None yet."
      />
    </Panel>
  );
}

function Words() {
  return (
    <details class="words">
      <summary>How a journal proves that it is whole</summary>
      <p>
        Every record has a number and the hash of the record before it. To change or remove one, somebody must
        make all later ones again.
      </p>
      <p>
        At each checkpoint (audit.checkpoint_interval) dovegate signs the last hash with its key. Records
        before it cannot be made again without this key; those after it are not covered yet.
      </p>
      <p>
        Old files are removed by age or size (audit.keep, audit.max_size). A signed record says which ones, so
        that is told apart from a gap.
      </p>
    </details>
  );
}
