// Screen "mailbox": who touched one mailbox, and whether that is all; to be printed for its owner or a data protection officer.

import type { TargetedSubmitEvent } from 'preact';
import { useState } from 'preact/hooks';
import type { VerifyProgress } from '../../evidence/views/proof.js';
import type { MailboxClass, MailboxDay, MailboxHead, MailboxLine } from '../../evidence/views/trail.js';
import { countWords, plural } from '../../host/words/words.js';
import { readEvents, useAnswer, useTask } from './asked.js';
import { Badge } from './badge.js';
import { AsCommand, Button, Empty, Fault, Field, Name, Reading, Sign, saveFile } from './kit.js';
import { go, Link } from './location.js';
import {
  askOf,
  classesOf,
  commandOf,
  fileNameOf,
  foldDays,
  linesMax,
  noReport,
  type Question,
  queryOf,
  questionOf,
  type Report,
  type RequesterSum,
  shownAnswer,
  spanWords,
  sumByRequester,
  verdictOf,
  withEvent,
} from './mailbox.js';
import { progressWords } from './proof.js';
import { pathOf, type ScreenProps } from './route.js';
import { type Session, useSession } from './session.js';
import { classSign } from './signs.js';
import { type Column, Table } from './table.js';
import { dayTerms, trailPath } from './trail-query.js';
import { utcTime } from './wording.js';

export function MailboxScreen({ params: [user = ''], query }: ScreenProps) {
  const question = questionOf(user, query);
  const [round, setRound] = useState(0);
  const { me } = useSession();
  const again = (): void => {
    kept.delete(me);
    setRound((one) => one + 1);
  };
  return (
    <>
      <Ask key={`${user}${queryOf(question)}`} question={question} onAgain={again} />
      {user === '' ? <Nothing /> : <Shown question={question} round={round} onAgain={again} />}
    </>
  );
}

function Nothing() {
  const { users } = useSession().me;
  return (
    <Empty>
      Name a mailbox: the report says whether something was deleted, who touched the mailbox, on which day,
      how (changed, content shown or searched, or tried and denied) and with which reason, and whether the
      journal is complete for that time.
      {users !== undefined && <Name value={` You see the records of ${users.join(' ')} only.`} max={300} />}
    </Empty>
  );
}

function Ask({ question, onAgain }: Pick<ShownProps, 'question' | 'onAgain'>) {
  const [asked, setAsked] = useState(question);
  const bound = (name: 'user' | 'from' | 'to') => ({
    value: asked[name],
    onInput: (value: string): void => setAsked({ ...asked, [name]: value }),
  });
  const onSubmit = (event: TargetedSubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const user = asked.user.trim();
    if (user === question.user && queryOf(asked) === queryOf(question)) onAgain();
    else if (user !== '') go(pathOf('/mailbox/:user', user) + queryOf(asked));
  };
  return (
    <form class="asking" onSubmit={onSubmit}>
      <Field label="Mailbox" type="search" {...bound('user')} placeholder="alice@example.com" isNeeded />
      <Field label="From (day in UTC)" type="date" {...bound('from')} />
      <Field label="To (its end)" type="date" {...bound('to')} />
      <label class="choice">
        <input
          type="checkbox"
          checked={asked.isContentOnly}
          onInput={(event) => setAsked({ ...asked, isContentOnly: event.currentTarget.checked })}
        />{' '}
        only what showed or searched content
      </label>
      <Button type="submit" kind="main">
        Make the report
      </Button>
    </form>
  );
}

/** Kept so that "back" from an exchange shows the report again without another look at the journal. */
const kept = new WeakMap<Session['me'], { readonly asked: string; readonly report: Report }>();

function useReport(question: Question, round: number) {
  const { api, me } = useSession();
  const body = askOf(question, 'page');
  const asked = JSON.stringify(body);
  const [report, setReport] = useState<Report>(noReport);
  const { fault, isBusy } = useAnswer(`${round} ${asked}`, async (signal) => {
    const before = kept.get(me);
    let found = before?.asked === asked ? before.report : noReport;
    setReport(found);
    if (found.isWhole) return;
    await readEvents(api, 'POST /api/trail/report', { body, signal }, 'end', (event) => {
      found = withEvent(found, event);
      setReport(found);
    });
    kept.set(me, { asked, report: found });
  });
  return { report, fault: isBusy ? undefined : fault };
}

interface ShownProps {
  readonly question: Question;
  /** Another number makes the report again. */
  readonly round: number;
  readonly onAgain: () => void;
}

function Shown({ question, round, onAgain }: ShownProps) {
  const { report, fault } = useReport(question, round);
  const { head, progress } = report;
  return (
    <>
      <Fault text={fault} />
      {head === undefined && fault === undefined && (
        <div class="checking">
          <p>
            First the whole journal is checked, so that the report can say whether it is complete:{' '}
            {progress !== undefined && <span class="number">{progressWords(progress)}</span>}
          </p>
          <Reading of={progress} />
        </div>
      )}
      {head !== undefined && (
        <>
          <Saving question={question} head={head} report={report} onAgain={onAgain} />
          <Paper user={question.user} head={head} report={report} isBroken={fault !== undefined} />
        </>
      )}
      <AsCommand>{commandOf(question)}</AsCommand>
    </>
  );
}

interface SavingProps {
  readonly question: Question;
  readonly head: MailboxHead;
  readonly report: Report;
  readonly onAgain: () => void;
}

function Saving({ question, head, report, onAgain }: SavingProps) {
  const { api } = useSession();
  const { said, say, isBusy, run } = useTask();
  const save = (form: 'csv' | 'html'): void =>
    run(async (signal) => {
      const texts: string[] = [];
      const body = askOf(question, form);
      await readEvents(api, 'POST /api/trail/report', { body, signal }, 'end', ({ name, data }) => {
        if (name === 'text') {
          const text: string = JSON.parse(data);
          texts.push(text);
        } else if (name === 'progress' && texts.length === 0) {
          const progress: VerifyProgress = JSON.parse(data);
          say(`Made anew for the file: ${progressWords(progress)}`);
        }
      });
      saveFile(
        new Blob(texts, { type: `text/${form};charset=utf-8` }),
        fileNameOf(question, head.madeAt, form),
      );
      return 'Saved.';
    });
  return (
    <div class="saving">
      <Button onClick={() => window.print()} isOff={!report.isWhole}>
        Print
      </Button>
      <Button onClick={() => save('html')} isOff={isBusy}>
        Save as HTML
      </Button>
      <Button onClick={() => save('csv')} isOff={isBusy}>
        Save as CSV
      </Button>
      <Button onClick={onAgain}>Make it again</Button>
      <span role="status">{said}</span>
    </div>
  );
}

interface PaperProps {
  readonly user: string;
  readonly head: MailboxHead;
  readonly report: Report;
  readonly isBroken: boolean;
}

function Paper({ user, head, report, isBroken }: PaperProps) {
  const { me } = useSession();
  const { tone, text: verdict } = verdictOf(head);
  const rest = head.sentences.filter((text) => text !== verdict);
  const { days, left, isWhole } = report;
  const { deleted, maybeDeleted, showed, maybeShowed } = head.counts;
  // Lines that deleted, changed or showed mail must be seen among hundreds of others.
  const toneOf = (line: MailboxLine): string => {
    const grave = head.classes.find((each) => each.class === line.class)?.tone ?? 'quiet';
    return grave === 'quiet' ? '' : `tone-${grave}`;
  };
  const doubts = new Set(head.doubts.filter(({ isSerious }) => isSerious).map(({ text }) => text));
  return (
    <article class="paper">
      <h2>
        Who touched <Name value={head.mailbox} max={300} />
      </h2>
      <p>
        {head.period}, on host <Name value={head.host} max={100} />. All days and times of this report are
        UTC.
      </p>
      <section class={`verdict ${tone}`} aria-label="Verdict">
        <dl class="answers">
          <div>
            <dt>Was anything deleted?</dt>
            <dd class={deleted + maybeDeleted > 0 ? 'destroy' : undefined}>{head.answer}</dd>
          </div>
          <div>
            <dt>Was content of mails shown?</dt>
            <dd class={showed + maybeShowed > 0 ? 'content' : undefined}>{shownAnswer(head.counts)}</dd>
          </div>
        </dl>
        <p>
          <Sign tone={tone}>
            <strong>
              <Name value={sentence(verdict)} max={1000} />
            </strong>
          </Sign>
        </p>
        {rest.length > 0 && (
          <ul class="findings">
            {rest.map((text) => (
              <li key={text}>
                <Sign tone={doubts.has(text) ? 'bad' : 'quiet'}>
                  {doubts.has(text) && 'Not complete: '}
                  <Name value={sentence(text)} max={1000} />
                </Sign>
              </li>
            ))}
          </ul>
        )}
      </section>
      {head.isContentOnly && <p>Only commands that showed or searched content, or may have, are listed.</p>}
      <Requesters days={days} classes={head.classes} isAll={left === 0 && isWhole} />
      {days.length === 0 && isWhole && (
        <Empty>
          No command is listed: nobody touched this mailbox in this time, as far as the journal goes.
        </Empty>
      )}
      {foldDays(days).map(({ day, lines }, at) => (
        // One day may come in several parts.
        <section key={at} class="day">
          <h3>{day}</h3>
          <Table
            label={`Commands of ${day}`}
            rows={lines}
            columns={lineColumns(user)}
            toneOf={toneOf}
            keyOf={({ requester, what, reason, note, firstTime, ids: [first] }) =>
              JSON.stringify([requester, what, reason, note, firstTime, first])
            }
          />
        </section>
      ))}
      {left > 0 && (
        <p class="said bad">
          {plural(left, 'more line is', 'more lines are')} not shown: a browser page holds{' '}
          {countWords(linesMax)}. The files have all of them.
        </p>
      )}
      {(isBroken || !isWhole) && (
        <p class="said bad">{isBroken ? 'This report broke off: there is more.' : 'More is coming …'}</p>
      )}
      <p class="made">
        Made by dovegate {me.version}
        {head.madeBy !== undefined && <Name value={` for ${head.madeBy}`} max={200} />} at{' '}
        {utcTime(head.madeAt)}.
      </p>
    </article>
  );
}

/** Notes of a report begin with a small letter. */
function sentence(text: string): string {
  return /^[a-z]/.test(text) ? `${text.slice(0, 1).toUpperCase()}${text.slice(1)}` : text;
}

interface RequestersProps {
  readonly days: readonly MailboxDay[];
  readonly classes: readonly MailboxClass[];
  /** False: some lines are missing here and not counted. */
  readonly isAll: boolean;
}

function Requesters({ days, classes, isAll }: RequestersProps) {
  const sums = sumByRequester(days, classes);
  if (sums.length === 0) return null;
  const columns: Column<RequesterSum>[] = [
    { title: 'requester', cell: ({ requester }) => <Name value={requester} max={100} /> },
    ...classesOf(sums, classes).map(
      ({ class: group, what }): Column<RequesterSum> => ({
        title: what,
        kind: 'number',
        cell: ({ counts: { [group]: count = 0 } }) =>
          count === 0 ? <span class="faint nothing">–</span> : <strong>{countWords(count)}</strong>,
      }),
    ),
    { title: 'first', cell: ({ firstTime }) => minuteOf(firstTime) },
    { title: 'last', cell: ({ lastTime }) => minuteOf(lastTime) },
  ];
  return (
    <section>
      <h3>Requesters, and how many commands of each kind</h3>
      {!isAll && <p class="said bad">Only the lines that stand below are counted here: there are more.</p>}
      <Table label="Requesters" rows={sums} columns={columns} keyOf={({ requester }) => requester} />
    </section>
  );
}

function minuteOf(time: string): string {
  return time.slice(0, 16).replace('T', ' ');
}

const lineColumns = (user: string): readonly Column<MailboxLine>[] => [
  { title: 'time', cell: (line) => <span class="number">{spanWords(line)}</span> },
  { title: 'requester', cell: ({ requester }) => <Name value={requester} max={100} /> },
  { title: 'what', cell: (line) => <Badge facts={classSign(line.class, line.what)} /> },
  { title: 'count', kind: 'number', cell: ({ count }) => countWords(count) },
  {
    title: 'reason',
    cell: ({ reason }) =>
      reason === '' ? <span class="faint">none stated</span> : <Name value={reason} max={1000} />,
  },
  { title: 'commands', cell: (line) => <Commands line={line} user={user} /> },
  {
    title: 'note',
    cell: ({ note, grant }) => (
      <>
        {note === '' ? <span class="faint">–</span> : <Name value={note} max={200} />}
        {grant !== undefined && (
          <>
            {' '}
            <Link to={pathOf('/access/:id', grant)}>its request</Link>
          </>
        )}
      </>
    ),
  },
];

interface CommandsProps {
  readonly line: MailboxLine;
  readonly user: string;
}

function Commands({ line: { commands, ids, count, requester, day }, user }: CommandsProps) {
  const [only] = ids;
  const shown = commands === '' ? 'could not be read' : <Name value={commands} isCode max={160} />;
  if (only === undefined) return shown;
  if (ids.length === 1 && count === 1) return <Link to={pathOf('/trail/:id', only)}>{shown}</Link>;
  const [first, last = first] = day.replace(/ \(more\)$/, '').split(' to ');
  return (
    <>
      {shown}
      <details class="exchanges">
        <summary>{count > ids.length ? `the first ${ids.length} of them` : 'each of them'}</summary>
        <ul>
          {ids.map((id) => (
            <li key={id}>
              <Link to={pathOf('/trail/:id', id)}>
                <Name value={id} isCode />
              </Link>
            </li>
          ))}
        </ul>
        {count > ids.length && (
          <Link to={trailPath({ user, principal: requester, ...dayTerms(first, last) })}>
            all of this requester then
          </Link>
        )}
      </details>
    </>
  );
}
