// The table of screens. One line each: its path, its title, the letter after `g`, who may see it, and what draws it. The script of a screen
// is a file of its own, loaded when it is opened; the first screen comes with the page.

import type { ComponentType } from 'preact';
import type { PageRole } from '../../rules/identity/roles.js';
import { NowScreen } from './now-screen.js';
import type { ScreenProps } from './route.js';

export interface Screen {
  readonly path: string;
  readonly title: string;
  /** The letter after `g`; absent: not in the menu, reached from another screen. */
  readonly key?: string;
  /** The screen of the menu that it belongs to; absent: it is one itself. */
  readonly of?: string;
  readonly roles: readonly PageRole[];
  /** Hidden from people who may see only some mail users. */
  readonly isWhole?: true;
  readonly load: () => Promise<ComponentType<ScreenProps>>;
}

const access = async () => (await import('./access-screen.js')).AccessScreen;
const exchange = async () => (await import('./exchange-screen.js')).ExchangeScreen;
const learn = async () => (await import('./learn-screen.js')).LearnScreen;
const mailbox = async () => (await import('./mailbox-screen.js')).MailboxScreen;
const policies = async () => (await import('./policies-screen.js')).PoliciesScreen;
const proof = async () => (await import('./proof-screen.js')).ProofScreen;
const requests = async () => (await import('./requests-screen.js')).RequestsScreen;
const request = async () => (await import('./request-screen.js')).RequestScreen;
const trail = async () => (await import('./trail-screen.js')).TrailScreen;

const everybody: readonly PageRole[] = ['view', 'operate', 'audit', 'approve'];

export const screens: readonly Screen[] = [
  { path: '/', title: 'Now', key: 'n', roles: everybody, load: async () => NowScreen },
  { path: '/trail', title: 'Trail', key: 't', roles: ['audit'], load: trail },
  { path: '/trail/:id', title: 'Exchange', of: 'Trail', roles: ['audit'], load: exchange },
  { path: '/requests', title: 'Requests', key: 'r', roles: ['approve', 'audit'], load: requests },
  { path: '/mailbox', title: 'Mailbox', key: 'm', roles: ['audit'], load: mailbox },
  { path: '/mailbox/:user', title: 'Mailbox', roles: ['audit'], load: mailbox },
  { path: '/proof', title: 'Proof', key: 'p', roles: everybody, load: proof },
  { path: '/access', title: 'Access', key: 'a', roles: ['operate', 'audit'], isWhole: true, load: access },
  { path: '/policies', title: 'Policies', of: 'Access', roles: ['audit'], isWhole: true, load: policies },
  { path: '/access/:id', title: 'Request', of: 'Requests', roles: ['approve', 'audit'], load: request },
  { path: '/learn/:policy', title: 'Learn', of: 'Access', roles: ['audit'], isWhole: true, load: learn },
];
