// The playground: what would become of a command, from this person, at this listener; and the case for `dovegate test` that says so.

import { useEffect, useState } from 'preact/hooks';
import type { AccessTable, Explained, RuleShown } from '../answers/api.js';
import type { Explain } from '../answers/endpoints.js';
import { useTask } from './asked.js';
import { Badge, Effect } from './badge.js';
import { Choice, LongField, TakeAlong } from './fields.js';
import { AsCommand, Button, Facts, Fault, Field, Name, Names, Panel, Sentences } from './kit.js';
import { go } from './location.js';
import type { ScreenProps } from './route.js';
import { useSession } from './session.js';
import { decisionSign } from './signs.js';
import { formatCommand, splitWords } from './words.js';

type Form = Readonly<Record<'listener' | 'as' | 'user' | 'reason' | 'line' | 'json' | 'form', string>>;

export function Playground({ rows, query }: Pick<AccessTable, 'rows'> & Pick<ScreenProps, 'query'>) {
  const { api } = useSession();
  const listeners = [...new Set(rows.map(({ listener }) => listener))];
  const field = (name: string): string => query.get(name) ?? '';
  const [asked, setAsked] = useState<Form>({
    listener: field('listener') || (listeners[0] ?? ''),
    as: field('as'),
    user: field('user'),
    reason: field('reason'),
    line: field('line'),
    json: field('json'),
    form: field('json') === '' ? 'words' : 'json',
  });
  const [answer, setAnswer] = useState<Explained | undefined>();
  const task = useTask();
  const set = (more: Partial<Form>): void => setAsked({ ...asked, ...more });
  const bound = (name: keyof Form) => ({
    value: asked[name],
    onInput: (value: string): void => set({ [name]: value }),
  });
  const logins = rows.filter(({ kind, listener }) => kind !== 'listener' && listener === asked.listener);
  const as = logins.length === 0 || logins.some(({ name }) => name === asked.as) ? asked.as : '';

  const run = (): void => {
    const question = questionOf({ ...asked, as }, logins.length > 0);
    setAnswer(undefined);
    if (typeof question === 'string') return task.say(question);
    const kept = new URLSearchParams(
      Object.entries({ ...asked, as }).filter(
        ([name, value]) =>
          value !== '' && name !== 'form' && name !== (asked.form === 'json' ? 'line' : 'json'),
      ),
    );
    go(`/access?${kept}`, true);
    return task.run(async (signal) => {
      setAnswer(await api.json<Explained>('POST /api/explain', { body: question, signal }));
      return '';
    });
  };
  // A link that somebody sent is answered at once.
  useEffect(() => {
    if (field('line') + field('json') !== '') run();
  }, []);

  return (
    <Panel title="Try a command" label="Playground">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          run();
        }}
      >
        <div class="fields">
          <Choice
            label="listener"
            value={asked.listener}
            options={listeners.map((name) => ({ value: name, text: name }))}
            onInput={(listener) => set({ listener, as: '' })}
          />
          {logins.length > 0 ? (
            <Choice
              label="account or key"
              value={as}
              options={[
                { value: '', text: 'choose' },
                ...logins.map(({ name, kind }) => ({ value: name, text: `${name} (${kind})` })),
              ]}
              onInput={(name) => set({ as: name })}
            />
          ) : (
            <Field label="user of this host, or uid" {...bound('as')} placeholder="anybody" />
          )}
          <Choice
            label="written as"
            {...bound('form')}
            options={[
              { value: 'words', text: 'a command line' },
              { value: 'json', text: 'JSON of the HTTP API' },
            ]}
          />
          {asked.form === 'words' && (
            <Field label="mail user" {...bound('user')} placeholder="anna@example.com" />
          )}
          <Field label="stated reason" {...bound('reason')} placeholder="none" />
        </div>
        {asked.form === 'words' ? (
          <Field
            label="command"
            type="search"
            {...bound('line')}
            placeholder="mailbox status messages INBOX"
          />
        ) : (
          <LongField
            label="request"
            {...bound('json')}
            hint={
              'One command: [["mailboxStatus", {"user": "anna@example.com", "field": ["messages"]}, "tag"]]'
            }
          />
        )}
        <div class="buttons">
          <Button type="submit" kind="main" isOff={task.isBusy}>
            {task.isBusy ? 'Asking …' : 'What would become of it?'}
          </Button>
        </div>
      </form>
      <div aria-live="polite">
        <Fault text={task.said} />
        {answer !== undefined && <Answer answer={answer} />}
      </div>
      <p class="faint">
        Judged by what is served now, with the code that judges clients. Nothing is sent to a backend; the
        journal records the question.
      </p>
      <AsCommand>dovegate explain --listener NAME --user USER -- COMMAND</AsCommand>
    </Panel>
  );
}

/** The question to send; a text: what is missing. */
function questionOf(
  { listener, as, user, reason, line, json, form }: Form,
  hasLogins: boolean,
): Explain | string {
  if (hasLogins && as === '') return 'Choose the account or the key that asks.';
  const who = {
    listener,
    ...(as === ''
      ? {}
      : hasLogins
        ? { account: as }
        : /^\d+$/.test(as)
          ? { uid: Number(as) }
          : { uidName: as }),
    ...(reason === '' ? {} : { reason }),
  };
  if (form === 'json') return json.trim() === '' ? 'Write the request.' : { ...who, json };
  const words = splitWords(line);
  if (typeof words === 'string') return `The command cannot be read: ${words}.`;
  if (words.length === 0) return 'Write a command, as "quota get".';
  return { ...who, words, ...(user === '' ? {} : { user }) };
}

function Answer({ answer }: { readonly answer: Explained }) {
  const { rule, nearest, toAllow = [], sent, backends, series } = answer;
  const where = answer.noBackend ?? (backends.length === 0 ? undefined : backends.join(', '));
  const parsed = series.length === 0 ? '' : ` (parsed as Dovecot ${series.join(', ')})`;
  return (
    <section class={`answer ${decisionSign(answer.decision).tone}`} aria-label="Answer">
      <h3>
        <Badge facts={decisionSign(answer.decision)} />
      </h3>
      <Sentences texts={[answer.text]} />
      <Facts
        kind="facts"
        rows={[
          ['requester', answer.principal],
          ['policy', answer.policy],
          [
            answer.decision === 'allow' ? 'would be sent as' : 'in canonical form',
            sent.length > 0 && <Name value={formatCommand(sent)} max={400} isCode />,
          ],
          ['concerns', answer.concerns],
          [
            'effect',
            answer.effect !== undefined && <Effect effect={answer.effect} content={answer.content} />,
          ],
          ['backend', where && `${where}${parsed}`],
          ['on terms', answer.terms.length > 0 && answer.terms.join('; ')],
          ...answer.later.map((text) => ['not yet known', text] as const),
        ]}
      />
      {rule !== undefined && (
        <>
          <h4>The rule that decides</h4>
          <Rule rule={rule} />
        </>
      )}
      {nearest !== undefined && (
        <>
          <h4>The rule that comes nearest to allowing it</h4>
          <Rule rule={nearest} />
          <p>What it misses:</p>
          <Names values={nearest.missing} />
        </>
      )}
      {toAllow.map(({ into, edit, lines, also }) => (
        <details key={into} open>
          <summary>To allow it</summary>
          {also.length > 0 && <p>The lines below would allow as well:</p>}
          <Names values={also} />
          <p>
            To allow it, <Name value={edit} max={200} />:
          </p>
          <TakeAlong label={`Lines for ${into}`} text={`${lines.join('\n')}\n`} fileName="rule.yaml" />
        </details>
      ))}
      {answer.cannotAllow !== undefined && <Sentences texts={[answer.cannotAllow]} />}
      {answer.differs.length > 0 && (
        <>
          <h4>The series of Dovecot differ</h4>
          <Names values={answer.differs} />
        </>
      )}
      {answer.test !== undefined && (
        <details>
          <summary>Save as test</summary>
          <p>
            A case for the configuration. "dovegate test" runs it, and says when a change of policy breaks it.
          </p>
          <TakeAlong label="Policy test" text={answer.test} fileName="policy-test.yaml" />
        </details>
      )}
    </section>
  );
}

export function Rule({ rule }: { readonly rule: RuleShown }) {
  return (
    <div class="rule">
      <p>
        {rule.command === '' ? 'the users of the policy' : <Name value={rule.command} isCode />}{' '}
        {rule.place !== undefined && (
          <span class="faint">
            <Name value={rule.place} max={80} />
          </span>
        )}
      </p>
      {rule.says.length > 0 && <Names values={rule.says} />}
    </div>
  );
}
