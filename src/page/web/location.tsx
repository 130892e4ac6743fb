// Where the page is: path and query of the address bar, the only state of a screen that survives a reload.

import type { ComponentChildren, TargetedMouseEvent } from 'preact';
import { useEffect, useState } from 'preact/hooks';

export interface Place {
  readonly path: string;
  readonly query: URLSearchParams;
}

const changed = 'dovegate-place';

function here(): Place {
  return { path: window.location.pathname, query: new URLSearchParams(window.location.search) };
}

export function usePlace(): Place {
  const [place, setPlace] = useState(here);
  useEffect(() => {
    const onChange = (): void => setPlace(here());
    window.addEventListener('popstate', onChange);
    window.addEventListener(changed, onChange);
    return () => {
      window.removeEventListener('popstate', onChange);
      window.removeEventListener(changed, onChange);
    };
  }, []);
  return place;
}

/** Goes to a path of this page, with its query. `isReplacing`: adds no entry to the history, for changes while somebody types. */
export function go(to: string, isReplacing = false): void {
  const before = window.location.pathname;
  if (isReplacing) window.history.replaceState(window.history.state, '', to);
  else window.history.pushState(null, '', to);
  if (before !== window.location.pathname) window.scrollTo(0, 0);
  window.dispatchEvent(new Event(changed));
}

/** Names this entry of the history: what a screen keeps belongs to it, so that a step back finds it, and a new search does not. */
export function entryName(): string {
  const { state } = window.history;
  if (typeof state === 'string') return state;
  const name = `${Date.now()} ${Math.random()}`;
  window.history.replaceState(name, '');
  return name;
}

interface LinkProps {
  readonly to: string;
  readonly children: ComponentChildren;
  readonly class?: string;
  readonly isHere?: boolean;
  readonly title?: string;
  /** Needed if the children have no text for screen readers. */
  readonly label?: string;
}

/** A link within the page; opened in another tab (middle button, Control) it works like any other. */
export function Link({ to, children, isHere, label, ...rest }: LinkProps) {
  const onClick = (event: TargetedMouseEvent<HTMLAnchorElement>): void => {
    if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(to);
  };
  return (
    <a href={to} onClick={onClick} aria-current={isHere ? 'page' : undefined} aria-label={label} {...rest}>
      {children}
    </a>
  );
}
