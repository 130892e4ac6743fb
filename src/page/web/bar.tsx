// What stands above every screen: the red sentence when something is wrong, and the bar with the state of the daemon.

import { useEffect, useState } from 'preact/hooks';
import type { NowHead, Problem } from '../../gate/now/now.js';
import { widerKey } from '../../gate/now/operator.js';
import { countWords, durationWords, plural } from '../../host/words/words.js';
import type { Done } from '../answers/api.js';
import { useTask } from './asked.js';
import { Dialog } from './dialog.js';
import { Ago, Button, Empty, Name, Segments, Sentence, Sign, Time } from './kit.js';
import { steadyMs, useLive, useToday } from './live.js';
import { Link, usePlace } from './location.js';
import { mayDo, showTheme, themeChoice, useSession } from './session.js';
import { Icon, Mark } from './shapes.js';
import type { Tone } from './signs.js';
import { visible } from './visible.js';
import { localTime, marked, zoneWords } from './wording.js';

const toneOf: Readonly<Record<NowHead['state'], Tone>> = {
  serving: 'good',
  degraded: 'warn',
  'not serving': 'bad',
  draining: 'warn',
  blind: 'bad',
};

interface BarProps {
  readonly onHelp: () => void;
  /** Opens what is to be looked at. */
  readonly onLook: () => void;
}

export function Bar({ onHelp, onLook }: BarProps) {
  const { me, signOut } = useSession();
  const head = useLive(({ now }) => now?.head);
  const tone = head === undefined ? 'quiet' : toneOf[head.state];
  return (
    <header class="band">
      <div class="bar">
        <Link to="/" class="brand" label="dovegate">
          <Mark />
          <span class="product">dovegate</span>
        </Link>
        <span class="host">
          <Name value={head?.host ?? me.host} />
        </span>
        {head !== undefined && (
          <>
            <strong class={`pill ${tone}`}>
              <Sign tone={tone}>{head.state}</Sign>
            </strong>
            <span class="faint wide-only">
              for <Ago at={head.since} />, since <Time at={head.since} />
            </span>
          </>
        )}
        <span class="who">
          <span class="person">
            <Name value={me.name} max={24} /> <span class="faint role">{me.roles.join(', ')}</span>
          </span>
          <Bell onLook={onLook} />
          <span class="help">
            <Button kind="small" onClick={onHelp} label="Help: keys of this page" title="key: ?">
              <Icon name="help" />
            </Button>
          </span>
          <Button kind="small" onClick={signOut} label="Sign out">
            <Icon name="out" />
            <span class="wide-only">Sign out</span>
          </Button>
        </span>
      </div>
    </header>
  );
}

export function Foot({ isUtc, onUtc }: { readonly isUtc: boolean; readonly onUtc: () => void }) {
  const { me } = useSession();
  const today = useToday();
  const head = useLive(({ now }) => now?.head);
  const [theme, setTheme] = useState(themeChoice.read);
  return (
    <footer>
      <span>
        dovegate <Name value={head?.version ?? me.version} />
      </span>
      {head !== undefined && (
        <>
          <span>
            started <Time at={head.started} />
          </span>
          <span title={`hash of the configuration: ${visible(head.configHash)}`}>
            configuration <code>{visible(head.configHash.slice(0, 8))}</code>
          </span>
        </>
      )}
      <span>
        <Name value={me.name} max={24} /> ({me.roles.join(', ')}), until <Time at={me.ends} />
      </span>
      <Segments
        label="Colors of this page"
        value={theme}
        options={[
          { value: '', text: 'as the system' },
          { value: 'light', text: 'light' },
          { value: 'dark', text: 'dark' },
        ]}
        onChange={(next) => {
          themeChoice.keep(next);
          showTheme(next);
          setTheme(next);
        }}
      />
      <span class="zone">
        times: {zoneWords(today)}{' '}
        <Button kind="small" isDown={isUtc} onClick={onUtc}>
          all in UTC
        </Button>
      </span>
    </footer>
  );
}

/** In red the problems that degrade the service, the first one large. Draws nothing without any. */
export function Problems() {
  const isStale = useLive((live) => live.isStale);
  const problems = useLive(({ now }) => now?.head.problems) ?? [];
  const { path } = usePlace();
  const [first, ...others] = problems.filter(({ isDegrading }) => isDegrading);
  return (
    <>
      {!isStale && <Announcer problem={first} />}
      {/* A list that is open on one screen is closed on the next. Now has a sentence for each problem that degrades. */}
      {first !== undefined && <Listed key={path} first={first} others={others} isNow={path === '/'} />}
    </>
  );
}

interface ListedProps {
  readonly first: Problem;
  readonly others: readonly Problem[];
  readonly isNow: boolean;
}

function Listed({ first, others, isNow }: ListedProps) {
  const [isOpen, setOpen] = useState(isNow);
  return (
    <section class="problems" aria-label="What is wrong">
      <div class="first">
        <OneProblem problem={first} />
        {others.length > 0 && (
          <Button kind="small" isOpen={isOpen} onClick={() => setOpen(!isOpen)}>
            {isOpen ? 'Only the first' : `and ${others.length} more`}
          </Button>
        )}
      </div>
      {isOpen && others.map((problem, at) => <OneProblem key={at} problem={problem} />)}
    </section>
  );
}

/** Problems that degrade nothing, for people who can act on them: an approver would take their number for decisions that wait. */
function useQuiet(): readonly Problem[] {
  const problems = useLive(({ now }) => now?.head.problems) ?? [];
  return mayDo(useSession(), 'operate') ? problems.filter(({ isDegrading }) => !isDegrading) : [];
}

const isFresh = ({ acknowledged }: Problem): boolean => acknowledged === undefined;

function Bell({ onLook }: { readonly onLook: () => void }) {
  const quiet = useQuiet();
  const fresh = quiet.filter(isFresh).length;
  if (quiet.length === 0) return null;
  const words = fresh > 0 ? `${plural(fresh, 'thing', 'things')} to look at` : 'nothing new to look at';
  return (
    <Button kind="small" onClick={onLook} label={words} title={words}>
      <Icon name="bell" />
      {fresh > 0 && countWords(fresh)}
    </Button>
  );
}

export function ToLookAt({ onClose }: { readonly onClose: () => void }) {
  const quiet = useQuiet();
  return (
    <Dialog title="To look at" isDrawer onClose={onClose}>
      {quiet.length === 0 && <Empty>Nothing is to be looked at.</Empty>}
      {[...quiet.filter(isFresh), ...quiet.filter((each) => !isFresh(each))].map((problem) => (
        <div key={problem.key}>
          <OneProblem problem={problem} />
          <Acknowledge problem={problem} />
        </div>
      ))}
      <div class="buttons">
        <Button onClick={onClose}>Close</Button>
      </div>
    </Dialog>
  );
}

const hoursOffered = [4, 24, 168] as const;

function Acknowledge({ problem: { key, acknowledged, text } }: { readonly problem: Problem }) {
  const { api } = useSession();
  const { said, run } = useTask();
  // Who has looked at what policies permit has done so for ever.
  const offered = key.startsWith(widerKey(''))
    ? [{ hours: 1, words: 'I have looked at it' }]
    : hoursOffered.map((hours) => ({ hours, words: `acknowledge for ${durationWords(hours * 3_600_000)}` }));
  const acknowledge = (hours: number): void =>
    run(async (signal) => {
      const asked = { params: [key, String(hours)], signal };
      return (await api.json<Done>('POST /api/acknowledge/:problem/:hours', asked)).text;
    });
  return (
    <p class="why">
      {acknowledged !== undefined && (
        <span class="faint">
          <Sentence text={`acknowledged by ${acknowledged.by} until {${acknowledged.until}}`} />
        </span>
      )}
      {acknowledged === undefined &&
        offered.map(({ hours, words }) => (
          <Button
            key={hours}
            kind="small"
            onClick={() => acknowledge(hours)}
            label={`${words}: ${visible(text)}`}
          >
            {words}
          </Button>
        ))}
      <span role="status">
        <Sentence text={said} />
      </span>
    </p>
  );
}

function OneProblem({ problem }: { readonly problem: Problem }) {
  return (
    <p class="problem">
      <svg viewBox="0 0 16 16" width="20" height="20" aria-hidden="true">
        <path d="M8 1.5l7 13H1zM8 6v4.5M8 12v1.2" class="stroke" />
      </svg>
      <span>
        <Sentence text={problem.text} />
        {problem.try !== undefined && ` Try: ${visible(problem.try)}`}
      </span>
    </p>
  );
}

/** Long enough for a screen reader to announce it. */
const saidMs = 3_000;

/**
 * For screen readers: announces a new problem, but not each change of a number in its sentence. The words are then removed, so that a
 * reader finds them only once on the page.
 */
function Announcer({ problem }: { readonly problem: Problem | undefined }) {
  const id = problem === undefined ? '' : `${problem.code} ${problem.backend ?? ''}`;
  const [said, setSaid] = useState('');
  useEffect(() => {
    setSaid(problem === undefined ? '' : spoken(problem));
    const timer = window.setTimeout(() => setSaid(''), saidMs);
    return () => window.clearTimeout(timer);
  }, [id]);
  return (
    <div class="unseen" role="alert">
      {said === '' ? null : said}
    </div>
  );
}

function spoken({ text, try: what }: Problem): string {
  const now = new Date().toISOString();
  const words = marked(text).map((part) => ('time' in part ? localTime(part.time, now) : visible(part.text)));
  return what === undefined ? words.join('') : `${words.join('')} Try: ${visible(what)}`;
}

export function StaleNotice() {
  const old = useLive((live) => (live.isStale || live.now === undefined ? live : undefined));
  const { heardMs, now, trouble } = old ?? {};
  const age = heardMs === undefined ? 0 : steadyMs() - heardMs;
  return (
    <div role="alert">
      {(now !== undefined || trouble !== undefined) && (
        <p class="stale">
          <Sign tone="bad">
            {now === undefined ? (
              'Nothing is known yet.'
            ) : (
              <>
                No news from dovegate since <Time at={now.at} isExact />
                <span aria-hidden="true"> ({durationWords(Math.round(age / 1000) * 1000)})</span>.
              </>
            )}
          </Sign>{' '}
          {now !== undefined && 'What is below is old. '}
          {trouble !== undefined && <Sentence text={trouble} />} This page tries again by itself.
        </p>
      )}
    </div>
  );
}
