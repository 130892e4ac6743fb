// Screen "learn": what was seen under a policy, in groups to tick, and the policy that comes of it, checked and tried out on the past.

import { type ComponentChildren, Fragment } from 'preact';
import { useState } from 'preact/hooks';
import { countWords, plural } from '../../host/words/words.js';
import type { Checked, Replayed, Suggested, SuggestedGroup } from '../answers/api.js';
import { useAnswer } from './asked.js';
import { Badge, Effect } from './badge.js';
import { Choice, LongField, type Span, sinceOf, spanOf, spans, TakeAlong } from './fields.js';
import { AsCommand, Button, Empty, Fault, Field, Name, Names, Panel, Pending, Sign, Time } from './kit.js';
import { byWords, composePolicy, fileNameOf, isAllowed, mayTick, withEffect } from './learn.js';
import { useDaemonMs } from './live.js';
import { go } from './location.js';
import { Looked } from './looked.js';
import { pathOf, type ScreenProps } from './route.js';
import { useSession } from './session.js';
import { decisionSign } from './signs.js';
import { visible } from './visible.js';
import { shownCommand } from './words.js';

export function LearnScreen({ params: [policy = ''], query }: ScreenProps) {
  const days = spanOf(query.get('days') ?? '7');
  // The ticks are indexes of groups, so they are valid for one answer only.
  return <Learn key={`${policy} ${days}`} policy={policy} days={days} />;
}

function Learn({ policy, days }: { readonly policy: string; readonly days: Span }) {
  const { api } = useSession();
  const [ticked, setTicked] = useState<ReadonlySet<number>>(new Set());
  const clock = useDaemonMs();
  const since = sinceOf(days, clock?.());
  const { value, fault, isBusy } = useAnswer(clock && `${policy} ${days}`, (signal) =>
    api.json<Suggested>('POST /api/suggest', { body: { policy, ...since }, signal }),
  );
  const tick = (groups: readonly number[], isOn: boolean): void => {
    const others = [...ticked].filter((at) => !groups.includes(at));
    setTicked(new Set(isOn ? [...others, ...groups] : others));
  };
  return (
    <>
      <div class="heading">
        <h2>
          Seen under <Name value={policy} />
        </h2>
        <Choice
          label="in"
          value={days}
          options={spans}
          onInput={(next) => go(`${pathOf('/learn/:policy', policy)}?days=${next}`, true)}
        />
      </div>
      {(value === undefined || isBusy) && <Pending fault={fault}>Reading the journal …</Pending>}
      {value !== undefined && !isBusy && (
        <Seen suggested={value} ticked={ticked} onTick={tick} since={since} />
      )}
      <AsCommand>{`dovegate suggest --listener NAME${days === 'all' ? '' : ` --since ${days}d`}`}</AsCommand>
    </>
  );
}

interface WrittenProps {
  readonly suggested: Suggested;
  readonly ticked: ReadonlySet<number>;
  readonly since: ReturnType<typeof sinceOf>;
}

interface SeenProps extends WrittenProps {
  readonly onTick: (groups: readonly number[], isOn: boolean) => void;
}

function Seen({ suggested, ticked, onTick, since }: SeenProps) {
  const { groups, looked } = suggested;
  const reads = withEffect(suggested, 'read');
  const isEachRead = reads.every((at) => ticked.has(at));
  const rest = groups.filter((group) => !mayTick(group) && !isAllowed(group));
  const once = rest.filter(({ kind }) => kind === 'once');
  const settled: readonly (readonly [title: string, groups: readonly SuggestedGroup[]])[] = [
    ['A rule allows it already', groups.filter(isAllowed)],
    ['Seen once, and denied without a rule of your own: a monthly job?', once],
    ['No rule is suggested for these, each with its reason', rest.filter(({ kind }) => kind !== 'once')],
  ];
  return (
    <>
      <Looked looked={looked} />
      {groups.length === 0 ? (
        <Empty>
          {looked.isAll
            ? 'Nothing was seen under this policy in that time. Choose a longer one, or see in "Trail" whether its clients came at all.'
            : 'Nothing was seen under this policy in what was read of that time.'}
        </Empty>
      ) : (
        <div class="learn">
          <Panel
            title="No rule allows it: would be denied"
            count={seenWords(groups.filter(mayTick))}
            label="What was seen"
            controls={
              reads.length > 0 && (
                <Button kind="small" onClick={() => onTick(reads, !isEachRead)}>
                  {isEachRead ? 'No reads' : 'All that reads'}
                </Button>
              )
            }
          >
            {groups.some(mayTick) && <p class="faint">Tick what is to be allowed: each becomes a rule.</p>}
            <ul class="groups">
              {groups.map(
                (group, at) =>
                  mayTick(group) && (
                    <Group key={at} group={group}>
                      <input
                        type="checkbox"
                        checked={ticked.has(at)}
                        onInput={() => onTick([at], !ticked.has(at))}
                      />
                    </Group>
                  ),
              )}
            </ul>
            {!groups.some(mayTick) && (
              <p class="faint">
                {once.length === 0
                  ? 'Nothing was seen that a rule would have to be written for.'
                  : 'Nothing was seen twice that a rule would have to be written for; what was seen once is below.'}
              </p>
            )}
            {settled.map(
              ([title, those]) =>
                those.length > 0 && (
                  <Fragment key={title}>
                    <h3>
                      {title} <span class="count">{seenWords(those)}</span>
                    </h3>
                    <ul class="groups">
                      {those.map((group, at) => (
                        <Group key={at} group={group} />
                      ))}
                    </ul>
                  </Fragment>
                ),
            )}
          </Panel>
          <Written suggested={suggested} ticked={ticked} since={since} />
        </div>
      )}
    </>
  );
}

function seenWords(groups: readonly SuggestedGroup[]): string | undefined {
  const seen = groups.reduce((sum, group) => sum + group.seen, 0);
  return seen === 0 ? undefined : countWords(seen);
}

interface GroupProps {
  readonly group: SuggestedGroup;
  /** The control that ticks it; absent: it cannot be ticked. */
  readonly children?: ComponentChildren;
}

function Group({ group, children }: GroupProps) {
  const { usersCount, last, example, exampleUser, why, allowedBy } = group;
  const head = (
    <span>
      <strong>
        <Name value={group.command} isCode />
      </strong>{' '}
      <span class="faint">{plural(group.seen, 'time', 'times')}</span>{' '}
      <Effect effect={group.effect} content={group.content} />
    </span>
  );
  return (
    <li>
      {children === undefined ? (
        <p class="tick">{head}</p>
      ) : (
        <label class="tick">
          {children}
          {head}
        </label>
      )}
      {allowedBy !== undefined && <Sign tone="good">{`by the rule at ${visible(allowedBy)}`}</Sign>}
      {children === undefined && allowedBy === undefined && (
        <Sign tone={group.kind === 'refused' ? 'quiet' : 'warn'}>
          <Name value={why ?? ''} max={300} />
        </Sign>
      )}
      <p>
        by <Name value={byWords(group)} max={80} />
        {usersCount > 0 && `, for ${plural(usersCount, 'user', 'users')}`}, last <Time at={last} />
      </p>
      <p class="faint">
        as <Name value={shownCommand(example)} max={160} isCode />
        {exampleUser !== undefined && <Name value={` for ${exampleUser}`} max={80} />}
      </p>
    </li>
  );
}

function Written({ suggested, ticked, since }: WrittenProps) {
  const { api } = useSession();
  const { policy, place } = suggested;
  const [pasted, setPasted] = useState('');
  const yaml = pasted.trim() === '' ? composePolicy(suggested, ticked) : pasted;
  const { value, fault, isBusy } = useAnswer(
    yaml,
    (signal) => api.json<Checked>('POST /api/check', { body: { policy, yaml }, signal }),
    400,
  );
  const paste = (
    <details open={pasted !== ''}>
      <summary>Try a file instead</summary>
      <LongField
        label="the text of the policy, as it would stand in the file"
        value={pasted}
        onInput={setPasted}
        hint="It names no other files. What is ticked counts again when this is empty."
      />
    </details>
  );
  if (yaml === undefined)
    return (
      <Panel title="The policy">
        <Empty>
          It grows here with each tick, and is checked at once. The page never writes the configuration.
        </Empty>
        {paste}
      </Panel>
    );
  // While busy, the value is about the text before the last tick.
  const checked = isBusy ? undefined : value;
  const problems = checked?.problems ?? [];
  return (
    <Panel title="The policy" label="The policy">
      <TakeAlong
        label="The policy as YAML"
        text={yaml}
        fileName={fileNameOf(policy)}
        marked={new Set(problems.map(({ line }) => line))}
      />
      {paste}
      <p class="faint">
        {pasted === '' && 'It has what is allowed already, too. '}To take the place of{' '}
        <Name value={place} max={80} />. Then: <code>dovegate check</code>, <code>dovegate reload</code>.
      </p>
      <div aria-live="polite">
        {isBusy && <p class="faint">Checking …</p>}
        {!isBusy && <Fault text={fault} />}
        {checked !== undefined && problems.length === 0 && (
          <p>
            <Sign tone="good">no problems</Sign>
          </p>
        )}
        <ul>
          {problems.map(({ severity, line, text }, at) => (
            <li key={at}>
              <Sign tone={severity === 'error' ? 'bad' : 'warn'}>
                {severity}, line {line}: <Name value={text} max={400} />
              </Sign>
            </li>
          ))}
        </ul>
      </div>
      <Past key={yaml} policy={policy} yaml={yaml} since={since} />
    </Panel>
  );
}

interface PastProps extends Pick<WrittenProps, 'since'> {
  readonly policy: string;
  readonly yaml: string;
}

/** Started by a button, because each look at the journal is a record. */
function Past({ policy, yaml, since }: PastProps) {
  const { api } = useSession();
  const [statement, setStatement] = useState('');
  const [asked, setAsked] = useState<string>();
  const { value, fault, isBusy } = useAnswer(
    asked === undefined ? undefined : `${asked}\n${yaml}`,
    (signal) =>
      api.json<Replayed>('POST /api/replay', { body: { policy, yaml, ...since, statement: asked }, signal }),
  );
  return (
    <>
      <h3>What it would have denied, and what it proves</h3>
      <Field
        label="a statement to prove of it, too"
        value={statement}
        onInput={setStatement}
        placeholder='nobody may destroy in mailboxes of "*@example.com"'
      />
      {asked !== statement && (
        <Button onClick={() => setAsked(statement)}>Try it out on what was recorded in that time</Button>
      )}
      {isBusy && <Empty>Judging past commands …</Empty>}
      <Fault text={fault} />
      {value !== undefined && !isBusy && value.result === undefined && (
        <p class="said bad">The policy has errors, so nothing can be judged by it.</p>
      )}
      {value?.result !== undefined && !isBusy && <Result result={value.result} />}
    </>
  );
}

function Result({ result }: { readonly result: NonNullable<Replayed['result']> }) {
  const { looked, allowToDeny, denyToAllow, otherwise, proofs, changes } = result;
  return (
    <>
      {proofs.map(({ statement, lines }, at) => (
        <Fragment key={at}>
          <Name value={statement} max={400} />
          <Names values={lines} />
        </Fragment>
      ))}
      <p>
        {allowToDeny === 0 ? (
          <Sign tone={looked.isAll ? 'good' : 'quiet'}>
            Nothing that was allowed would have been denied{!looked.isAll && ', of what was read'}.
          </Sign>
        ) : (
          <Sign tone="warn">
            {plural(allowToDeny, 'command that was allowed', 'commands that were allowed')} would have been
            denied.
          </Sign>
        )}{' '}
        {denyToAllow > 0 && `${countWords(denyToAllow)} that were denied would have been allowed. `}
        {otherwise > 0 &&
          `${countWords(otherwise)} would have ended otherwise, or depended on how many mails match.`}
      </p>
      <Looked looked={looked} />
      <ul class="groups">
        {changes.map((change, at) => (
          <li key={at}>
            <p>
              <Badge facts={decisionSign(change.to)} />{' '}
              <Name value={shownCommand(change.words)} max={160} isCode />
            </p>
            <p class="faint">
              {plural(change.count, 'time', 'times')}, by <Name value={change.by} />, last{' '}
              <Time at={change.last} />: <Name value={change.reason} max={300} />
            </p>
          </li>
        ))}
      </ul>
    </>
  );
}
