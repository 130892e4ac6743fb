// Who is signed in: the token, in this tab only, and what the daemon says of its person.

import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { PageRole } from '../../rules/identity/roles.js';
import type { Me } from '../answers/api.js';
import type { Api } from './api.js';

const tokenName = 'dovegate-session';
const leftName = 'dovegate-left';

/** Not a cookie: those go to every port of this host. */
export const token = {
  read: (): string | undefined => window.sessionStorage.getItem(tokenName) ?? undefined,
  keep: (value: string): void => {
    window.sessionStorage.setItem(tokenName, value);
    window.sessionStorage.removeItem(leftName);
  },
  forget: (): void => window.sessionStorage.removeItem(tokenName),
  /** Signs out in this tab: even after a reload, it takes no session of another tab by itself. */
  leave: (): void => {
    window.sessionStorage.removeItem(tokenName);
    window.sessionStorage.setItem(leftName, 'yes');
  },
  wasLeft: (): boolean => window.sessionStorage.getItem(leftName) !== null,
};

export interface Session {
  readonly me: Me;
  readonly api: Api;
  readonly signOut: () => void;
}

export const SessionContext = createContext<Session | undefined>(undefined);

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (session === undefined) throw new Error('there is no session around this');
  return session;
}

export function mayDo(session: Session, ...roles: readonly PageRole[]): boolean {
  return session.me.roles.some((role) => roles.includes(role));
}

function choiceOf(key: string) {
  return {
    read: (): string => window.localStorage.getItem(key) ?? '',
    keep: (value: string): void => window.localStorage.setItem(key, value),
  };
}

/** `utc`: all times are shown in UTC. */
export const zoneChoice = choiceOf('dovegate-zone');
/** `light` or `dark`; else that of the system. */
export const themeChoice = choiceOf('dovegate-theme');

/** `yes`: somebody signed out here whom the issuer may still know. */
export const issuerKnows = choiceOf('dovegate-issuer-knows');

export function showTheme(theme: string): void {
  document.documentElement.dataset['theme'] = theme;
}
