// The frame around every screen: bar, menu, keys, help; and which screen the address means.

import type { ComponentChildren, ComponentType } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApprovalsContext, useFollowingApprovals, waitingFor } from './approvals.js';
import { Bar, Foot, Problems, StaleNotice, ToLookAt } from './bar.js';
import { Dialog } from './dialog.js';
import { Button, Empty, Name } from './kit.js';
import { Following, useLive } from './live.js';
import { go, Link, type Place, usePlace } from './location.js';
import { matchPath, type ScreenProps } from './route.js';
import { type Screen, screens } from './screens.js';
import { mayDo, type Session, SessionContext, useSession, zoneChoice } from './session.js';
import { Icon } from './shapes.js';
import { walkRows } from './table.js';
import { showUtc } from './wording.js';

export function Frame({ session }: { readonly session: Session }) {
  const approvals = useFollowingApprovals(session);
  const waiting = waitingFor(approvals);
  const place = usePlace();
  const [isHelp, setHelp] = useState(false);
  const [isLook, setLook] = useState(false);
  const [isUtc, setUtc] = useState(() => zoneChoice.read() === 'utc');
  showUtc(isUtc);
  const isLimited = session.me.users !== undefined;
  const seen = screens.filter(
    ({ roles, isWhole }) => mayDo(session, ...roles) && !(isWhole === true && isLimited),
  );
  const found = findScreen(seen, place.path);
  useKeys(seen, () => setHelp(true));
  useOthers(seen);
  const main = useRef<HTMLElement>(null);
  const shownPath = useRef(place.path);
  useEffect(() => {
    if (shownPath.current === place.path) return;
    shownPath.current = place.path;
    // On a new screen, reading aloud and the Tab key begin at its top, unless the screen has set the focus itself.
    if (main.current?.contains(document.activeElement) !== true) main.current?.focus({ preventScroll: true });
  }, [place.path]);
  return (
    <SessionContext.Provider value={session}>
      <Following session={session}>
        <ApprovalsContext.Provider value={approvals}>
          <a class="skip" href="#main">
            To the screen
          </a>
          <StaleNotice />
          <Title screen={found?.screen.title ?? 'No such screen'} host={session.me.host} />
          <All>
            <Problems />
            <Bar onHelp={() => setHelp(true)} onLook={() => setLook(true)} />
            <div class="menu-line">
              <nav class="menu" aria-label="Screens">
                {seen
                  .filter(({ key }) => key !== undefined)
                  .map(({ path, title, key }) => (
                    <Link
                      key={path}
                      to={path}
                      isHere={found?.screen.title === title || found?.screen.of === title}
                      title={`keys: g ${key}`}
                    >
                      <Icon name={title} />
                      {title}
                      {title === 'Requests' &&
                        waiting.map((text) => (
                          <span key={text} class="badge warn">
                            {text}
                          </span>
                        ))}
                    </Link>
                  ))}
              </nav>
            </div>
            <main id="main" ref={main} tabIndex={-1}>
              <Shown found={found} place={place} />
            </main>
            <Foot
              isUtc={isUtc}
              onUtc={() => {
                zoneChoice.keep(isUtc ? '' : 'utc');
                setUtc(!isUtc);
              }}
            />
          </All>
          {isLook && <ToLookAt onClose={() => setLook(false)} />}
          {isHelp && <Help screens={seen} onClose={() => setHelp(false)} />}
        </ApprovalsContext.Provider>
      </Following>
    </SessionContext.Provider>
  );
}

/** Turns its content grey while the data is out of date. */
function All({ children }: { readonly children: ComponentChildren }) {
  const isStale = useLive((live) => live.isStale);
  return <div class={isStale ? 'all old' : 'all'}>{children}</div>;
}

/** Sets the title of the tab, which begins with the problem, since tabs are narrow. */
function Title({ screen, host }: { readonly screen: string; readonly host: string }) {
  const head = useLive(({ now }) => now?.head);
  const problems = head?.problems.filter(({ isDegrading }) => isDegrading).length ?? 0;
  useEffect(() => {
    document.title = `${problems > 0 ? `(${problems}) ` : ''}${screen} – ${head?.host ?? host} – dovegate`;
  }, [screen, head?.host ?? host, problems]);
  return null;
}

interface Found {
  readonly screen: Screen;
  readonly params: readonly string[];
}

function findScreen(seen: readonly Screen[], path: string): Found | undefined {
  for (const screen of seen) {
    const params = matchPath(screen.path, path);
    if (params !== undefined) return { screen, params };
  }
  return undefined;
}

function Shown({ found, place }: { readonly found: Found | undefined; readonly place: Place }) {
  if (found === undefined) {
    const isHidden = screens.some(({ path }) => matchPath(path, place.path) !== undefined);
    return (
      <>
        <h1>{isHidden ? 'Not for this role' : 'No such screen'}</h1>
        <Empty>
          {isHidden
            ? 'Your role does not include this screen. admin.page.people in the configuration says who may see it.'
            : 'This page has nothing at '}
          {!isHidden && <Name value={place.path} />}
        </Empty>
      </>
    );
  }
  const { screen, params } = found;
  return (
    <>
      <h1 class="unseen">{screen.title}</h1>
      <Loaded key={screen.path} screen={screen} params={params} query={place.query} />
    </>
  );
}

/** The components of screens whose script is loaded. */
const arrived = new Map<Screen['load'], ComponentType<ScreenProps>>();

async function arrive(load: Screen['load']): Promise<void> {
  if (!arrived.has(load)) arrived.set(load, await load());
}

function Loaded({ screen: { load }, ...props }: ScreenProps & { readonly screen: Screen }) {
  const [isLost, setLost] = useState(false);
  const [, redraw] = useState({});
  const Component = arrived.get(load);
  useEffect(() => {
    if (Component === undefined)
      arrive(load).then(
        () => redraw({}),
        () => setLost(true),
      );
  }, []);
  if (Component !== undefined) return <Component {...props} />;
  if (!isLost) return null;
  return (
    <div role="alert">
      <Empty>
        The script of this screen could not be loaded: the page's process does not answer, or it is of another
        version.
      </Empty>
      <Button kind="main" onClick={() => window.location.reload()}>
        Load the page again
      </Button>
    </div>
  );
}

/** Loads the other screens once the first one is shown: they open without the page's process, too, for example while it restarts. */
function useOthers(seen: readonly Screen[]): void {
  useEffect(() => {
    const timer = window.setTimeout(() => {
      for (const { load } of seen) arrive(load).catch(() => undefined);
    }, 2_000);
    return () => window.clearTimeout(timer);
  }, []);
}

/** Longest time between `g` and its letter. */
const secondKeyMs = 1500;

function useKeys(seen: readonly Screen[], onHelp: () => void): void {
  /** When `g` was pressed, if the next key is the one after it. */
  const wentMs = useRef<number | undefined>(undefined);
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (document.querySelector('dialog[open]') !== null || isWriting(event.target)) return;
      const { key, timeStamp } = event;
      const sinceMs = timeStamp - (wentMs.current ?? -Infinity);
      const isSecond = sinceMs <= secondKeyMs && /^[a-z]$/.test(key);
      wentMs.current = key === 'g' && !isSecond ? timeStamp : undefined;
      const to = isSecond ? seen.find((each) => each.key === key) : undefined;
      if (to !== undefined) go(to.path);
      else if (key === '/') search(seen);
      else if (key === '?') onHelp();
      else if (!isSecond && (key === 'j' || key === 'k')) walkRows(key === 'j' ? 1 : -1);
      else return;
      event.preventDefault();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  });
}

function isWriting(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches('input, textarea, select, [contenteditable]');
}

function searchLine(): HTMLElement | null {
  return document.querySelector<HTMLElement>('main input[type=search], main [data-search]');
}

/** Moves the focus to the search line of this screen, else opens the screen with the search. */
function search(seen: readonly Screen[]): void {
  const line = searchLine();
  if (line !== null) {
    line.focus();
    // Typing replaces the search; an arrow key keeps it.
    if (line instanceof HTMLInputElement) line.select();
  } else if (seen.some(({ path }) => path === '/trail')) go('/trail');
}

function Help({
  screens: seen,
  onClose,
}: {
  readonly screens: readonly Screen[];
  readonly onClose: () => void;
}) {
  const seesTrail = seen.some(({ path }) => path === '/trail');
  const only = (isOffered: boolean, those: [string, string][]) => (isOffered ? those : []);
  const keys: [string, string][] = [
    ...seen.flatMap(({ key, title }): [string, string][] => (key === undefined ? [] : [[`g ${key}`, title]])),
    ...only(seesTrail || searchLine() !== null, [['/', 'to the search line']]),
    ['j, k', 'next row, previous row'],
    ['Enter', 'opens a row'],
    ...only(seesTrail, [
      ['f', 'on a row of the trail: searches by its values'],
      ['[, ]', 'in the trail, beside an opened row: the row above, the row below'],
    ]),
    ...only(mayDo(useSession(), 'operate'), [['K', 'on a running command: ends it, after a question']]),
    ['?', 'this help'],
    ['Escape', 'closes a dialog'],
  ];
  return (
    <Dialog title="Keys" onClose={onClose}>
      <dl class="keys">
        {keys.map(([key, what]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <div class="buttons">
        <Button onClick={onClose}>Close</Button>
      </div>
    </Dialog>
  );
}
