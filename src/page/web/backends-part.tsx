// Part of the screen "now": one row for each Dovecot: whether it is up, how full it is, what failed, who took it out.

import { useState } from 'preact/hooks';
import type { BackendNow, RunningCommand } from '../../gate/now/now.js';
import { drainWords } from '../../gate/now/operator.js';
import { countWords, durationWords, plural } from '../../host/words/words.js';
import type { Done } from '../answers/api.js';
import { useTask } from './asked.js';
import { Confirm } from './dialog.js';
import { Ago, Button, Fault, Field, Name, Panel, Sentences, Sign, saveFile, Time } from './kit.js';
import { useLive } from './live.js';
import { type Box, backendState, boxesOf, boxesWords, certificateLeft, failedDials } from './running.js';
import { mayDo, useSession } from './session.js';
import { type Column, Table } from './table.js';

interface Asked {
  readonly backend: BackendNow;
  readonly what: 'drain' | 'enable';
}

export function BackendsPart() {
  const backends = useLive(({ now }) => now?.backends);
  const running = useLive(({ now }) => now?.running) ?? [];
  const minute = useLive(({ now }) => now && `${now.at.slice(0, 16)}:00Z`);
  const session = useSession();
  const [asked, setAsked] = useState<Asked | undefined>();
  const saving = useTask();
  if (backends === undefined || minute === undefined) return null;
  const columns: (Column<BackendNow> | false)[] = [
    {
      title: 'backend',
      line: 1,
      grows: true,
      cell: (row) => (
        <>
          <strong>
            <Name value={row.name} />
          </strong>
          <p class="why faint wide-only">
            <Name value={row.address} max={40} />
            {row.series !== undefined && <Name value={`, Dovecot ${row.series}`} />}
          </p>
        </>
      ),
    },
    { title: 'state', line: 2, grows: true, cell: (row) => <State backend={row} /> },
    {
      title: 'upstreams',
      line: 3,
      cell: (row) => (
        <Boxes
          backend={row}
          longest={running.find(({ backend, isWaiting }) => backend === row.name && isWaiting !== true)}
        />
      ),
    },
    {
      title: 'queue',
      line: 3,
      cell: (row) =>
        row.waiting === 0 ? (
          <span class="faint">nothing waits</span>
        ) : (
          <Sign tone="warn">
            {plural(row.waiting, 'command waits', 'commands wait')}, the oldest for{' '}
            {durationWords(row.oldestWaitMs)}
          </Sign>
        ),
    },
    { title: 'failed dials', line: 3, isNamed: true, cell: (row) => <Failed backend={row} /> },
    { title: 'certificate', line: 0, cell: (row) => <Certificate backend={row} now={minute} /> },
    mayDo(session, 'operate') && {
      title: 'drain or enable',
      kind: 'action',
      cell: (backend) => {
        const what = backend.health === 'drained' ? 'enable' : 'drain';
        return (
          <Button kind="small" onClick={() => setAsked({ backend, what })} label={`${what} ${backend.name}`}>
            {what}
          </Button>
        );
      },
    },
  ];
  return (
    <>
      <Fault text={saving.said} />
      <Panel
        title="Backends"
        count={countWords(backends.length)}
        controls={
          <Button
            kind="small"
            onClick={() =>
              saving.run(async (signal) => {
                saveFile(await session.api.blob('GET /api/backends.csv', { signal }), 'backends.csv');
                return '';
              })
            }
          >
            Save as CSV
          </Button>
        }
        isTable
      >
        <Table
          label="Backends"
          rows={backends}
          columns={columns}
          keyOf={(row) => row.name}
          toneOf={(row) => `tone-${backendState(row).tone}`}
          empty={'The configuration has no backends. They stand under "backends", one for each Dovecot.'}
        />
      </Panel>
      <p class="legend" aria-hidden="true">
        {(['leased', 'idle', 'dialing', 'free'] as const).map((box) => (
          <span key={box}>
            <BoxPicture boxes={[box]} /> {boxWords[box]}
          </span>
        ))}
      </p>
      {asked !== undefined && <Ask asked={asked} onClose={() => setAsked(undefined)} />}
    </>
  );
}

function State({ backend }: { readonly backend: BackendNow }) {
  const { tone, word } = backendState(backend);
  return (
    <>
      <Sign tone={tone}>
        <strong>{word}</strong>
      </Sign>
      {backend.since !== undefined && (
        <p class="why faint">
          {backend.isUp ? 'up' : 'down'} for <Ago at={backend.since} />, since <Time at={backend.since} />
          {backend.mayBeLonger === true && ' or longer: dovegate has looked since then'}
        </p>
      )}
      {backend.text !== undefined && <Sentences texts={[backend.text]} kind="why" />}
      <Sentences texts={backend.drained.map(drainWords)} kind="why" />
    </>
  );
}

const boxesMax = 128;
const boxWords = { leased: 'busy', idle: 'idle', dialing: 'dialing', free: 'not open' };
/** Only longer commands are shown: most take milliseconds. */
const longMs = 5_000;

interface BoxesProps {
  readonly backend: BackendNow;
  /** The command that has run there for the longest time; undefined: none, or it is not shown. */
  readonly longest: RunningCommand | undefined;
}

function Boxes({ backend, longest }: BoxesProps) {
  const boxes = boxesOf(backend, boxesMax);
  return (
    <>
      {boxes !== undefined && <BoxPicture boxes={boxes} />}
      <span class="faint number boxes-words">{boxesWords(backend)}</span>
      {longest !== undefined && longest.durationMs >= longMs && (
        <span class="boxes-words">
          <Name value={longest.command} isCode /> runs for {durationWords(longest.durationMs)}
        </span>
      )}
    </>
  );
}

function BoxPicture({ boxes }: { readonly boxes: readonly Box[] }) {
  const [inRow, side] = boxes.length > 32 ? [32, 6] : [16, 12];
  const width = Math.min(boxes.length, inRow) * side;
  const height = Math.ceil(boxes.length / inRow) * side;
  return (
    <svg class="boxes" viewBox={`0 0 ${width} ${height}`} width={width} height={height} aria-hidden="true">
      {boxes.map((box, at) => {
        const x = (at % inRow) * side + 1;
        const y = Math.floor(at / inRow) * side + 1;
        return (
          <g key={at} class={box}>
            <rect x={x} y={y} width={side - 3} height={side - 3} rx="1" />
            {box === 'dialing' && <path d={`M${x} ${y + side - 3}l${side - 3}-${side - 3}`} />}
          </g>
        );
      })}
    </svg>
  );
}

function Failed({ backend }: { readonly backend: BackendNow }) {
  const failed = failedDials(backend);
  if (failed.length === 0) return <span class="faint nothing">none</span>;
  return (
    <>
      {failed.map(({ step, count }) => (
        <span class="step" key={step}>
          <span class="number">{countWords(count)}</span> at {step}
        </span>
      ))}
      <span class="faint">
        since <Time at={backend.countedSince} />
      </span>
    </>
  );
}

function Certificate({ backend, now }: { readonly backend: BackendNow; readonly now: string }) {
  if (backend.certificateEnds === undefined) return <Name value={undefined} />;
  const { tone, word } = certificateLeft(backend.certificateEnds, now);
  return tone === 'quiet' ? <span class="faint">{word}</span> : <Sign tone={tone}>{word}</Sign>;
}

function Ask({ asked, onClose }: { readonly asked: Asked; readonly onClose: () => void }) {
  const { api } = useSession();
  const { backend, what } = asked;
  const { name } = backend;
  const [reason, setReason] = useState('');
  return (
    <Confirm
      title={what === 'drain' ? 'Drain this backend?' : 'Enable this backend?'}
      doit={what}
      isDanger={what === 'drain'}
      onDo={async () => {
        const ask = what === 'drain' ? 'POST /api/backend/:name/drain' : 'POST /api/backend/:name/enable';
        const body = what === 'drain' && reason.trim() !== '' ? { body: { reason } } : {};
        return (await api.json<Done>(ask, { params: [name], ...body })).text;
      }}
      onClose={onClose}
    >
      <p class="repeated">
        <Name value={name} max={500} /> at <Name value={backend.address} max={500} />:{' '}
        {backendState(backend).word}, {boxesWords(backend)}
        {backend.waiting > 0 && `, ${plural(backend.waiting, 'command waits', 'commands wait')}`}
      </p>
      <p>
        {what === 'drain'
          ? 'Commands that run there end by themselves. New ones for it are denied with the reason, until it is enabled.'
          : 'New commands go there again.'}{' '}
        The journal records who asked{what === 'drain' && ', and why'}. In a terminal:{' '}
        <code>{`sudo dovegate backend ${what} ${name}`}</code>
      </p>
      {what === 'drain' && <Field label="Reason" value={reason} onInput={setReason} />}
    </Confirm>
  );
}
