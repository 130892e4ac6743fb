// The screen without a session: the ways to sign in.

import { useEffect, useState } from 'preact/hooks';
import type { Entered, Login, Ways } from '../answers/api.js';
import { type Api, sentenceOf } from './api.js';
import { tabsAdvice } from './follow.js';
import { Button, Field, Panel, Sentence } from './kit.js';
import { goToIssuer } from './oidc.js';
import { issuerKnows } from './session.js';
import { Mark } from './shapes.js';
import type { Offered } from './tabs.js';
import { visible } from './visible.js';

export interface SignInText {
  /** With marked times. */
  readonly text: string;
  /** Absent: nothing failed and nothing was done. */
  readonly tone?: 'good' | 'bad';
}

interface SignInProps {
  readonly api: Api;
  readonly text: SignInText | undefined;
  /** The people who are signed in in other tabs of this browser, if there are several. */
  readonly offers: readonly Offered[];
  readonly onEntered: (entered: Pick<Entered, 'token'>) => void;
}

const all: Ways = { link: true, password: true, certificate: true };

const soonMs = 1_000;

/** Shown until there is an answer: nothing at first, then what may be in the way. */
export function Awaited() {
  const [isLate, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), soonMs);
    return () => clearTimeout(timer);
  }, []);
  return (
    <p role="status" class={isLate ? 'said bad' : 'said'}>
      {isLate && `The process of the page has not answered yet. ${tabsAdvice}`}
    </p>
  );
}

export function SignIn({ api, text, offers, onEntered }: SignInProps) {
  const [ways, setWays] = useState<Ways | undefined>();
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [said, setSaid] = useState(text);
  const [isBusy, setBusy] = useState(false);
  const isKnown = issuerKnows.read() === 'yes';
  useEffect(() => {
    // Without an answer all ways are shown.
    api.json<Ways>('GET /api/ways').then(setWays, () => setWays(all));
  }, []);
  // What was typed meanwhile stays.
  useEffect(() => {
    setSaid(text);
    setBusy(false);
  }, [text]);
  const attempt = async (run: () => Promise<void>): Promise<void> => {
    setBusy(true);
    setSaid(undefined);
    try {
      await run();
    } catch (error) {
      setSaid({ text: sentenceOf(error), tone: 'bad' });
      setBusy(false);
    }
  };
  /** Clears the earlier message about the issuer. */
  const enterAtIssuer = async (): Promise<void> => {
    setWays((before) => (before?.oidc === undefined ? before : { ...before, oidc: { at: before.oidc.at } }));
    await attempt(() => goToIssuer(api, isKnown));
    setBusy(false);
  };
  const enter = (login: Login): Promise<void> =>
    attempt(async () => onEntered(await api.json<Entered>('POST /api/login', { body: login })));
  return (
    <main class="sign-in">
      <h1 class="brand">
        <Mark />
        dovegate
      </h1>
      <p role="alert" class={`said ${said?.tone ?? ''}`}>
        <Sentence text={said?.text ?? ''} />
      </p>
      {offers.length > 0 && (
        <Panel title="In other tabs">
          <p>This browser has sessions of several persons. Go on as:</p>
          <div class="buttons">
            {[...new Map(offers.map((each) => [each.name, each])).values()].map((each) => (
              <Button key={each.name} onClick={() => onEntered(each)}>
                {visible(each.name)}
              </Button>
            ))}
          </div>
        </Panel>
      )}
      {ways === undefined && <Awaited />}
      {ways?.password === true && (
        <Panel title="With a password">
          <form
            onSubmit={(event) => {
              event.preventDefault();
              void enter({ name, password });
            }}
          >
            <Field label="Name" value={name} onInput={setName} autocomplete="username" isNeeded />
            <Field
              label="Password"
              type="password"
              value={password}
              onInput={setPassword}
              autocomplete="current-password"
              isNeeded
            />
            <Button type="submit" kind="main" isOff={isBusy}>
              {isBusy ? 'Signing in …' : 'Sign in'}
            </Button>
          </form>
        </Panel>
      )}
      {ways?.oidc !== undefined && (
        <Panel title={`At ${ways.oidc.at}`}>
          {ways.oidc.text !== undefined && <p>It does not work now: {visible(ways.oidc.text)}.</p>}
          {isKnown && (
            <p>
              {ways.oidc.at} may still know this browser; it will ask who signs in here next.
              {ways.oidc.signOut === undefined && ' Sign out there, too, if others use this browser.'}
            </p>
          )}
          <div class="buttons">
            <Button isOff={isBusy} onClick={() => void enterAtIssuer()}>
              Sign in at {ways.oidc.at}
            </Button>
            {isKnown && ways.oidc.signOut !== undefined && (
              <a class="button" href={ways.oidc.signOut} rel="noreferrer">
                Sign out at {ways.oidc.at}
              </a>
            )}
          </div>
        </Panel>
      )}
      {ways?.certificate === true && (
        <Panel title="With a certificate">
          <p>If this browser has a client certificate for you, it was sent when the page was opened.</p>
          <div class="buttons">
            <Button isOff={isBusy} onClick={() => void enter({})}>
              Sign in with the certificate
            </Button>
          </div>
        </Panel>
      )}
      {ways?.link === true && (
        <Panel title="With a link">
          <p>
            On the host of the daemon, run <code>dovegate page open</code> and open the link that it prints.
            It works once, for one minute, for the person whose account ran it.
          </p>
        </Panel>
      )}
      <p class="faint">Who may come is in the configuration of dovegate, under admin.page.people.</p>
    </main>
  );
}
