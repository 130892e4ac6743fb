// The page: starts in the browser, on the element that index.html has for it. Without a session it shows the sign-in, else the frame.

import { render } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Entered, Me } from '../answers/api.js';
import { type Api, AskFault, createApi, sentenceOf } from './api.js';
import { Frame } from './frame.js';
import { Button } from './kit.js';
import { takeReturned } from './oidc.js';
import { issuerKnows, showTheme, themeChoice, token } from './session.js';
import { Mark } from './shapes.js';
import { Awaited, SignIn, type SignInText } from './sign-in.js';
import { type Offered, openTabs } from './tabs.js';

type State =
  | { readonly at: 'starting' }
  /** `offers`: other tabs of this browser are signed in as these. */
  | { readonly at: 'outside'; readonly text: SignInText | undefined; readonly offers?: readonly Offered[] }
  | { readonly at: 'inside'; readonly me: Me }
  /** There is a session, but no answer. */
  | { readonly at: 'unknown'; readonly text: string };

function Page({ link }: { readonly link: string }) {
  const [state, setState] = useState<State>({ at: 'starting' });
  const api = useMemo(
    () =>
      createApi({
        request: (...asked) => window.fetch(...asked),
        token: token.read,
        onSignedOut: (text) => leave({ text }),
      }),
    [],
  );
  const me = useRef<Me | undefined>(undefined);
  me.current = state.at === 'inside' ? state.me : undefined;
  /** Sessions that other tabs have offered; undefined: offers are not taken (any more). */
  const offers = useRef<readonly Offered[] | undefined>(undefined);
  /** The offer that was taken without asking the person. */
  const taken = useRef<Offered | undefined>(undefined);
  const tabs = useMemo(
    () =>
      openTabs(
        () => {
          const own = token.read();
          return me.current === undefined || own === undefined
            ? undefined
            : { name: me.current.name, token: own };
        },
        (offered) => {
          const known = offers.current;
          if (known === undefined || known.some((each) => each.token === offered.token)) return;
          offers.current = [...known, offered];
          if (taken.current === undefined) offer();
          else if (taken.current.name !== offered.name && taken.current.token === token.read()) {
            // A late offer, of another person's session: the person at this tab must choose.
            token.forget();
            setState({ at: 'outside', text: undefined, offers: offers.current });
          }
        },
        (ended, text) => {
          if (ended === token.read()) {
            token.forget();
            setState({ at: 'outside', text: { text, tone: 'good' } });
            return;
          }
          const isLive = (each: Offered): boolean => each.token !== ended;
          offers.current = offers.current?.filter(isLive);
          setState((before) =>
            before.at === 'outside' && before.offers !== undefined
              ? { ...before, offers: before.offers.filter(isLive) }
              : before,
          );
        },
      ),
    [],
  );
  useEffect(() => () => tabs.close(), []);
  /** Leaves the session in all tabs. */
  const leave = (said: SignInText): void => {
    const own = token.read();
    token.forget();
    if (own !== undefined) tabs.ended(own, said.text);
    setState({ at: 'outside', text: said });
  };
  /** Waits for the offers of all tabs. If all are of one person, the first one is taken; else the person at this tab chooses. */
  const offer = (): void =>
    void window.setTimeout(() => {
      const [first, ...more] = offers.current ?? [];
      if (first === undefined || token.read() !== undefined) return;
      if (more.every(({ name }) => name === first.name)) {
        taken.current = first;
        void take(first.token);
      } else setState({ at: 'outside', text: undefined, offers: [first, ...more] });
    }, offersMs);
  const enter = async ({ token: value }: Pick<Entered, 'token'>): Promise<void> => {
    offers.current = undefined;
    await take(value);
  };
  const take = async (value: string): Promise<void> => {
    token.keep(value);
    const next = await whoAmI(api);
    // Meanwhile the session was ended in another tab, or replaced by another one.
    if (token.read() !== value) return;
    if (next.at === 'inside' && next.me.isByIssuer && issuerKnows.read() !== '') issuerKnows.keep('');
    setState(next);
  };
  const start = async (): Promise<void> => {
    const asked = askToEnter(api, link);
    if (asked !== undefined) {
      try {
        await enter(await asked);
        return;
      } catch (error) {
        // With a session, the error does not matter: a used link was opened again in the tab of its session.
        if (token.read() === undefined) {
          setState({ at: 'outside', text: { text: sentenceOf(error), tone: 'bad' } });
          return;
        }
      }
    }
    const own = token.read();
    if (own !== undefined) {
      const next = await whoAmI(api);
      if (token.read() === own) setState(next);
      return;
    }
    setState({ at: 'outside', text: undefined });
    if (token.wasLeft()) return;
    offers.current = [];
    tabs.ask();
    window.setTimeout(() => {
      offers.current = undefined;
    }, askingMs);
  };
  useEffect(() => void start(), []);
  const signOut = (): void => {
    const say = (text: SignInText): void =>
      setState((before) =>
        token.read() === undefined && before.at === 'outside' ? { at: 'outside', text } : before,
      );
    // The request gets the token before that is forgotten. The screen is cleared at once, since an answer may never come.
    const asked = api.json('POST /api/logout');
    const own = token.read();
    token.leave();
    if (own !== undefined) tabs.ended(own, 'You are signed out.');
    if (state.at === 'inside' && state.me.isByIssuer) issuerKnows.keep('yes');
    setState({ at: 'outside', text: { text: signingOut, tone: 'good' } });
    asked.then(
      () => say({ text: 'You are signed out.', tone: 'good' }),
      (error: unknown) => say({ text: `${sentenceOf(error)} ${signingOut}`, tone: 'bad' }),
    );
  };
  const session = useMemo(
    () => (state.at === 'inside' ? { me: state.me, api, signOut } : undefined),
    [state],
  );
  if (session !== undefined) return <Frame session={session} />;
  if (state.at === 'outside')
    return (
      <SignIn
        api={api}
        text={state.text}
        offers={state.offers ?? []}
        onEntered={(entered) => void enter(entered)}
      />
    );
  if (state.at === 'unknown')
    return (
      <main class="sign-in">
        <h1 class="brand">
          <Mark />
          dovegate
        </h1>
        <p role="alert" class="said bad">
          {state.text}
        </p>
        <Button kind="main" onClick={() => void start()}>
          Try again
        </Button>
      </main>
    );
  return (
    <main class="sign-in" aria-busy="true">
      <Awaited />
    </main>
  );
}

/** Tabs of one browser answer within this time of each other. */
const offersMs = 50;
/** How long a new tab takes sessions that others offer. */
const askingMs = 5_000;

const signingOut =
  'This browser has forgotten your session. The daemon has not confirmed its end; it ends by itself after 8 hours.';

/** Signs in with the answer of an issuer, which is valid for one request, or with a link. */
function askToEnter(api: Api, link: string): Promise<Entered> | undefined {
  const body = returned;
  returned = undefined;
  if (body !== undefined) return api.json('POST /api/oidc/finish', { body });
  return link === '' ? undefined : api.json('POST /api/redeem', { body: { link } });
}

/** Version of the daemon that served these scripts. */
let ownVersion: string | undefined;

async function whoAmI(api: Api): Promise<State> {
  try {
    const me = await api.json<Me>('GET /api/me');
    ownVersion ??= me.version;
    // A newer daemon has newer scripts. The token is kept over the reload.
    if (me.version !== ownVersion) window.location.reload();
    return { at: 'inside', me };
  } catch (error) {
    if (error instanceof AskFault && error.status === 401)
      return { at: 'outside', text: { text: error.message } };
    return { at: 'unknown', text: sentenceOf(error) };
  }
}

/** Takes the part after `#` out of the address bar and the history before any request. */
function takeLink(): string {
  const link = window.location.hash.slice(1);
  // A target within the page is no link.
  if (link === '' || link === 'main') return '';
  window.history.replaceState(null, '', window.location.pathname + window.location.search);
  return link;
}

showTheme(themeChoice.read());
let returned = takeReturned();
const place = document.getElementById('page');
if (place !== null) {
  const link = takeLink();
  place.textContent = '';
  render(<Page link={link} />, place);
  // A link that is opened where the page is already open changes the fragment only.
  window.addEventListener('hashchange', () => {
    const next = takeLink();
    if (next !== '') {
      render(null, place);
      render(<Page link={next} />, place);
    }
  });
}
