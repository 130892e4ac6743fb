// The playground: what would become of a command, from this person, at this listener; and the case for `dovegate test` that says so.

import { useEffect, useState } from 'preact/hooks';
import type { AccessTable, Explained, RuleShown } from '../answers/api.js';
import type { Explain } from '../answers/requests.js';
import { sentenceOf } from './api.js';
import { Badge, Effect } from './badge.js';
import { Choice, LongField, TakeAlong } from './fields.js';
import { AsCommand, Button, Fact, Fault, Field, Name, Names, Panel, Sentence } from './kit.js';
import { go } from './location.js';
import { useSession } from './session.js';
import { decisionSign } from './signs.js';
import { formatCommand, splitWords } from './words.js';

interface PlaygroundProps {
  readonly rows: AccessTable['rows'];
  readonly query: URLSearchParams;
}

const asWords = 'a command line';
const asJson = 'JSON of the HTTP API';

export function Playground({ rows, query }: PlaygroundProps) {
  const { api } = useSession();
  const listeners = [...new Set(rows.map(({ listener }) => listener))];
  const field = (name: string): string => query.get(name) ?? '';
  const [asked, setAsked] = useState({
    listener: field('listener') || (listeners[0] ?? ''),
    as: field('as'),
    user: field('user'),
    reason: field('reason'),
    line: field('line'),
    json: field('json'),
    form: field('json') === '' ? 'words' : 'json',
  });
  const [answer, setAnswer] = useState<Explained | undefined>();
  const [said, setSaid] = useState('');
  const [isBusy, setBusy] = useState(false);
  const set = (more: Partial<typeof asked>): void => setAsked({ ...asked, ...more });
  const logins = rows.filter(({ kind, listener }) => kind !== 'listener' && listener === asked.listener);
  const as = logins.length === 0 || logins.some(({ name }) => name === asked.as) ? asked.as : '';

  const run = (): void => {
    const question = questionOf({ ...asked, as, hasLogins: logins.length > 0 });
    setAnswer(undefined);
    if (typeof question === 'string') return setSaid(question);
    setSaid('');
    setBusy(true);
    const kept = new URLSearchParams(
      Object.entries({ ...asked, as }).filter(
        ([name, value]) =>
          value !== '' && name !== 'form' && name !== (asked.form === 'json' ? 'line' : 'json'),
      ),
    );
    go(`/access?${kept}`, true);
    api
      .json<Explained>('POST /api/explain', { body: question })
      .then(setAnswer, (error: unknown) => setSaid(sentenceOf(error)))
      .finally(() => setBusy(false));
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
            <Field
              label="user of this host, or uid"
              value={asked.as}
              onInput={(value) => set({ as: value })}
              placeholder="anybody"
            />
          )}
          <Choice
            label="written as"
            value={asked.form}
            options={[
              { value: 'words', text: asWords },
              { value: 'json', text: asJson },
            ]}
            onInput={(form) => set({ form })}
          />
          {asked.form === 'words' && (
            <Field
              label="mail user"
              value={asked.user}
              onInput={(user) => set({ user })}
              placeholder="anna@example.com"
            />
          )}
          <Field
            label="stated reason"
            value={asked.reason}
            onInput={(reason) => set({ reason })}
            placeholder="none"
          />
        </div>
        {asked.form === 'words' ? (
          <Field
            label="command"
            type="search"
            value={asked.line}
            onInput={(line) => set({ line })}
            placeholder="mailbox status messages INBOX"
          />
        ) : (
          <LongField
            label="request"
            value={asked.json}
            onInput={(json) => set({ json })}
            hint={
              'One command: [["mailboxStatus", {"user": "anna@example.com", "field": ["messages"]}, "tag"]]'
            }
          />
        )}
        <div class="buttons">
          <Button type="submit" kind="main" isOff={isBusy}>
            {isBusy ? 'Asking …' : 'What would become of it?'}
          </Button>
        </div>
      </form>
      <div aria-live="polite">
        <Fault text={said} />
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

interface Form {
  readonly listener: string;
  readonly as: string;
  readonly user: string;
  readonly reason: string;
  readonly line: string;
  readonly json: string;
  readonly form: string;
  readonly hasLogins: boolean;
}

/** The question to send; a text: what is missing. */
function questionOf({ listener, as, user, reason, line, json, form, hasLogins }: Form): Explain | string {
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
  const {
    rule,
    nearest,
    toAllow = [],
    cannotAllow,
    sent,
    terms,
    later,
    differs,
    backends,
    noBackend,
    series,
    test,
  } = answer;
  const shown = (text: string | undefined) => text !== undefined && <Name value={text} max={400} />;
  const where = noBackend ?? (backends.length === 0 ? undefined : backends.join(', '));
  return (
    <section class={`answer ${decisionSign(answer.decision).tone}`} aria-label="Answer">
      <h3>
        <Badge facts={decisionSign(answer.decision)} />
      </h3>
      <p>
        <Sentence text={answer.text} />
      </p>
      <dl class="facts">
        <Fact name="requester">{shown(answer.principal)}</Fact>
        <Fact name="policy">{shown(answer.policy)}</Fact>
        {sent.length > 0 && (
          <Fact name={answer.decision === 'allow' ? 'would be sent as' : 'in canonical form'}>
            <Name value={formatCommand(sent)} max={400} isCode />
          </Fact>
        )}
        <Fact name="concerns">{shown(answer.concerns)}</Fact>
        {answer.effect !== undefined && (
          <Fact name="effect">
            <Effect effect={answer.effect} content={answer.content} />
          </Fact>
        )}
        <Fact name="backend">
          {shown(
            where === undefined || series.length === 0
              ? where
              : `${where} (parsed as Dovecot ${series.join(', ')})`,
          )}
        </Fact>
        {terms.length > 0 && <Fact name="on terms">{shown(terms.join('; '))}</Fact>}
        {later.map((text) => (
          <Fact key={text} name="not yet known">
            {shown(text)}
          </Fact>
        ))}
      </dl>
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
      {cannotAllow !== undefined && (
        <p>
          <Name value={cannotAllow} max={400} />
        </p>
      )}
      {differs.length > 0 && (
        <>
          <h4>The series of Dovecot differ</h4>
          <Names values={differs} />
        </>
      )}
      {test !== undefined && (
        <details>
          <summary>Save as test</summary>
          <p>
            A case for the configuration. "dovegate test" runs it, and says when a change of policy breaks it.
          </p>
          <TakeAlong label="Policy test" text={test} fileName="policy-test.yaml" />
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
