// Screen "exchange": one command: who, what, why and the log of its backend; its place in the chain; its session and its records.

import { useState } from 'preact/hooks';
import { recordTitle, requesterOf, requestOf, rowOfDeed, type StoryRow } from '../../evidence/story/row.js';
import type { TrailEnd } from '../../evidence/views/trail.js';
import { asObject, asText, type StoredRecord } from '../../host/values/values.js';
import { countWords, durationWords } from '../../host/words/words.js';
import { textIn, valueText } from '../../journal/records/stored.js';
import { useAnswer } from './asked.js';
import { Effect, Outcome, Words } from './badge.js';
import { type CommandStory, tryPath } from './exchange.js';
import { AsCommand, Button, Empty, Facts, Fault, Name, Panel, Sentence, Sentences, Time } from './kit.js';
import { Link } from './location.js';
import { pathOf, type ScreenProps } from './route.js';
import { useSession } from './session.js';
import { outcomeSign } from './signs.js';
import { askTrail } from './trail-find.js';
import { shellQuoted, trailPath } from './trail-query.js';
import { commandText, type ShownRow, usersText } from './trail-rows.js';

export function ExchangeScreen({ params: [wanted = ''] }: ScreenProps) {
  const { api, me } = useSession();
  const [tries, setTries] = useState(0);
  const {
    value: answer,
    fault,
    isBusy,
  } = useAnswer(`${tries} ${wanted}`, (signal) => askTrail(api, 'POST /api/trail/show', { wanted }, signal));

  if (fault !== undefined && !isBusy)
    return (
      <>
        <Fault text={fault} />
        <Button onClick={() => setTries(tries + 1)}>Try again</Button>
      </>
    );
  if (answer === undefined || isBusy) return <p role="status">Reading the records of this command …</p>;
  const { end, records: all } = answer;
  return (
    <>
      <p>
        <Link to="/trail">Trail</Link>
      </p>
      {end.story === undefined ? (
        <Other all={all} wanted={wanted} isLimited={me.users !== undefined} />
      ) : (
        <Shown story={end.story} all={all} end={end} isLimited={me.users !== undefined} />
      )}
      <AsCommand>{`dovegate audit show ${shellQuoted(wanted)}`}</AsCommand>
    </>
  );
}

interface OtherProps {
  readonly all: readonly StoredRecord[];
  readonly wanted: string;
  readonly isLimited: boolean;
}

/** Shown if no command was found: another record, or nothing. */
function Other({ all, wanted, isLimited }: OtherProps) {
  if (all.length === 0)
    return (
      <Empty>
        No record of <Name value={wanted} isCode /> was found.{' '}
        {isLimited
          ? 'It may touch users that you do not see.'
          : 'It may be older than what is kept (audit.keep, audit.max_size), or one of many in a second, of which ten are recorded and the others counted.'}
      </Empty>
    );
  return (
    <>
      <About row={rowOfDeed(all)} />
      {isLimited && <p class="hint">Of records that you do not see, time, event and seq are shown.</p>}
      {all.map((record) => (
        <Raw key={valueText(record['seq'])} record={record} />
      ))}
    </>
  );
}

/** A record that is not about a command. */
export function About({ row }: { readonly row: StoryRow & Pick<ShownRow, 'why'> }) {
  const { fields } = row;
  const request = requestOf(fields);
  return (
    <section aria-label="What it is">
      <h2>
        <Name value={recordTitle(row)} max={160} />
      </h2>
      <p>
        <Time at={textIn(fields, 'time')} isExact isDated /> <Name value={requesterOf(row)} max={80} />{' '}
        <Sentence text={commandText(row)} isExact />
      </p>
      {request !== undefined && (
        <p>
          <Link to={pathOf('/access/:id', request)}>Who asked, who decided, and all its uses</Link>
        </p>
      )}
    </section>
  );
}

interface ShownProps {
  readonly story: CommandStory;
  readonly all: readonly StoredRecord[];
  readonly end: TrailEnd;
  readonly isLimited: boolean;
}

function Shown({ story, all, end, isLimited }: ShownProps) {
  const { logs } = story;
  return (
    <>
      <Answer story={story} end={end} />
      <Panel title="What happened" label="What happened">
        <Facts rows={[...story.who, ...story.what, ...story.why].map(({ what, value }) => [what, value])} />
        <Arguments story={story} />
        {logs.length > 0 && (
          <>
            <h3>Log of the backend</h3>
            <ul class="log">
              {logs.map(({ time, level, text }, at) => (
                <li key={at}>
                  <Time at={time} isExact /> <b>{level}</b> <Name value={text} max={400} isCode />
                </li>
              ))}
            </ul>
          </>
        )}
        <Mailbox user={story.asked.user} />
      </Panel>
      <details class="panel inside">
        <summary>Proof</summary>
        <Chain all={all} end={end} isLimited={isLimited} />
        {end.policy?.text !== undefined && (
          <>
            <h3>The policy as it was then</h3>
            <pre tabIndex={0} class="policy-then">
              {end.policy.text.split('\n').map((line, at) => (
                <span key={at} class="policy-line">
                  <Name value={line} max={2000} isCode />
                  {'\n'}
                </span>
              ))}
            </pre>
          </>
        )}
      </details>
      {end.notes !== undefined && end.notes.length > 0 && (
        <div class="said bad">
          <Sentences texts={end.notes.slice(0, 10)} />
        </div>
      )}
      <details>
        <summary>All records as they are stored ({countWords(all.length)})</summary>
        <Facts
          rows={story.life.map(({ what, ms, about }) => [
            what,
            `${ms === undefined ? '–' : durationOf(ms)}${about && `, ${about}`}`,
          ])}
        />
        <Session story={story} end={end} isLimited={isLimited} />
        {all.map((record) => (
          <Raw key={valueText(record['seq'])} record={record} />
        ))}
      </details>
    </>
  );
}

function Answer({ story, end: { content } }: Pick<ShownProps, 'story' | 'end'>) {
  const { asked, outcome, tookMs, answer, next, remarks, grant } = story;
  const row = { fields: { ...asked } };
  const users = usersText(row);
  const { tone } = outcomeSign(outcome);
  const tried = tryPath(story);
  return (
    <section class={`verdict ${tone === 'quiet' ? '' : tone}`} aria-label="What became of it">
      <h2>
        <Sentence text={answer} />
      </h2>
      {next !== undefined && <Sentences texts={[next]} />}
      <p class="exchange-head">
        <Words value={commandText(row)} max={200} />
        <Outcome outcome={outcome} />
        <Effect effect={asked.effect} content={content} />
        <span>
          <Name value={asked.principal} max={80} />
          {users !== '' && <Name value={` for ${users}`} max={80} />}
        </span>
        <span>
          <Time at={asked.time} isExact isDated />
          {tookMs !== undefined && <>, took {durationOf(tookMs)}</>}
        </span>
      </p>
      <Sentences texts={remarks} />
      {asked.reason !== '' && (
        <p>
          Reason given: <Name value={asked.reason} max={300} />
        </p>
      )}
      {grant !== undefined && (
        <p>
          <Link to={pathOf('/access/:id', grant)}>Who asked, who approved, and all its uses</Link>
        </p>
      )}
      {outcome === 'denied' && tried !== undefined && (
        <p>
          <Link to={tried}>Which rule would allow it?</Link>
        </p>
      )}
    </section>
  );
}

function Mailbox({ user }: { readonly user: string }) {
  // A name that was cut, or a pattern, is not one mailbox.
  if (user === '' || user.includes('*')) return null;
  return (
    <p>
      <Link to={pathOf('/mailbox/:user', user)}>Who touched this mailbox</Link>
    </p>
  );
}

/** Below 100 ms, with the precision of the records. */
function durationOf(ms: number): string {
  return ms > 0 && ms < 100 ? `${ms.toFixed(ms < 10 ? 2 : 1)} ms` : durationWords(ms);
}

function Arguments({ story }: Pick<ShownProps, 'story'>) {
  const { args = [] } = story.asked;
  const digestOf = (arg: unknown): string | undefined => asText(asObject(arg)?.['hmac']);
  if (args.length === 0) return null;
  return (
    <>
      <h3>Arguments, as the policy saw them</h3>
      <ol class="arguments">
        {args.map((arg, at) => (
          <li key={at}>
            <Words value={valueText(arg)} max={160} />
            {digestOf(arg) !== undefined && <code class="faint"> {digestOf(arg)}</code>}
          </li>
        ))}
      </ol>
      {args.some((arg) => digestOf(arg) !== undefined) && (
        <p class="hint">
          A secret is recorded as its HMAC only. To find out whether it was a value that you know, compare
          with what this prints: <code>dovegate audit hmac -</code> (it reads the value, so that no list of
          processes shows it).
        </p>
      )}
    </>
  );
}

function Session({ story, end, isLimited }: Omit<ShownProps, 'all'>) {
  const { opened, closed } = story;
  const { session } = story.asked;
  const { before, after } = end.around ?? {};
  return (
    <>
      {isLimited && <p class="hint">Sessions are shown to people who see the whole journal.</p>}
      <ul class="log">
        <Moment line={opened} what="the session began" />
        {before !== undefined && <Neighbour record={before} text="before it" />}
        {after !== undefined && <Neighbour record={after} text="after it" />}
        <Moment line={closed} what="the session ended" />
      </ul>
      {session !== '' && (
        <p>
          <Link to={trailPath({ session })}>All commands of this session</Link>
        </p>
      )}
    </>
  );
}

function Moment({ line, what }: { readonly line: CommandStory['opened']; readonly what: string }) {
  if (line === undefined) return null;
  return (
    <li>
      <Sentence text={`{${line.time}} ${what}${line.text && `: ${line.text}`}`} isExact />
    </li>
  );
}

function Neighbour({ record, text }: { readonly record: StoredRecord; readonly text: string }) {
  return (
    <li>
      <Time at={valueText(record['time'])} isExact /> {text}:{' '}
      <Link to={pathOf('/trail/:id', valueText(record['id']))}>
        <Name value={valueText(record['command'])} isCode />
      </Link>{' '}
      <Name value={valueText(record['user'])} />
    </li>
  );
}

function Chain({ all, end: { checkpoint }, isLimited }: Omit<ShownProps, 'story'>) {
  const hashed = all.filter((record) => record['hash'] !== undefined);
  if (isLimited || hashed.length === 0)
    return <Empty>Hashes of the chain are shown to people who see the whole journal.</Empty>;
  return (
    <>
      <ul class="log">
        {hashed.map((record) => (
          <li key={valueText(record['seq'])}>
            seq {valueText(record['seq'])}, <Name value={textIn(record, 'event')} />:{' '}
            <Name value={textIn(record, 'hash')} max={24} isCode />
          </li>
        ))}
      </ul>
      <p>
        {checkpoint === undefined ? (
          'No checkpoint after them was found yet: nothing is signed that vouches for them.'
        ) : (
          <>
            The checkpoint of seq {checkpoint.seq} (<Time at={checkpoint.time} isExact />) vouches for them.{' '}
            <Link to="/proof">Proof</Link> says whether the chain up to there is whole.
          </>
        )}
      </p>
    </>
  );
}

/** The record as it is stored, for readers who know the journal. */
export function Raw({ record }: { readonly record: StoredRecord }) {
  return (
    <Facts
      kind="told raw"
      rows={Object.entries(record).map(([key, value]) => [
        <Name value={key} />,
        <Name value={valueText(value)} max={200} isCode />,
      ])}
    />
  );
}
