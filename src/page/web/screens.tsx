// The table of screens. One line each: its path, its title, the letter behind `g`, who may see it, and what draws it. The script of a
// screen is a file of its own, loaded when it is opened; the first screen comes with the page.

import type { ComponentType } from 'preact';
import type { PageRole } from '../../rules/identity/roles.js';
import { NowScreen } from './now-screen.js';
import type { ScreenProps } from './route.js';

export interface Screen {
  readonly path: string;
  readonly title: string;
  /** The letter after `g`; absent: not in the menu, reached from another screen. */
  readonly key?: string;
  /** Screens of the menu that it belongs to; absent: it is one itself. */
  readonly of?: readonly string[];
  readonly roles: readonly PageRole[];
  /** Hidden from people who may see only some mail users. */
  readonly isWhole?: true;
  readonly load: () => Promise<ComponentType<ScreenProps>>;
}

const accessScreen = async () => (await import('./access-screen.js')).AccessScreen;
const approvalsScreen = async () => (await import('./approvals-screen.js')).ApprovalsScreen;
const backendsScreen = async () => (await import('./backends-screen.js')).BackendsScreen;
const exchangeScreen = async () => (await import('./exchange-screen.js')).ExchangeScreen;
const keysScreen = async () => (await import('./keys-screen.js')).KeysScreen;
const learnScreen = async () => (await import('./learn-screen.js')).LearnScreen;
const mailboxScreen = async () => (await import('./mailbox-screen.js')).MailboxScreen;
const policiesScreen = async () => (await import('./policies-screen.js')).PoliciesScreen;
const proofScreen = async () => (await import('./proof-screen.js')).ProofScreen;
const requestsScreen = async () => (await import('./requests-screen.js')).RequestsScreen;
const requestScreen = async () => (await import('./request-screen.js')).RequestScreen;
const trailScreen = async () => (await import('./trail-screen.js')).TrailScreen;

const everybody: readonly PageRole[] = ['view', 'operate', 'audit', 'approve'];

export const screens: readonly Screen[] = [
  { path: '/', title: 'Now', key: 'n', roles: everybody, load: async () => NowScreen },
  { path: '/backends', title: 'Backends', key: 'b', roles: everybody, load: backendsScreen },
  { path: '/approvals', title: 'Approvals', key: 'v', roles: ['approve'], load: approvalsScreen },
  { path: '/trail', title: 'Trail', key: 't', roles: ['audit'], load: trailScreen },
  { path: '/trail/:id', title: 'Exchange', of: ['Trail'], roles: ['audit'], load: exchangeScreen },
  { path: '/requests', title: 'Requests', key: 'r', roles: ['audit'], load: requestsScreen },
  { path: '/mailbox', title: 'Mailbox', key: 'm', roles: ['audit'], load: mailboxScreen },
  { path: '/mailbox/:user', title: 'Mailbox', roles: ['audit'], load: mailboxScreen },
  { path: '/proof', title: 'Proof', key: 'p', roles: everybody, load: proofScreen },
  { path: '/access', title: 'Access', key: 'a', roles: ['audit'], isWhole: true, load: accessScreen },
  {
    path: '/policies',
    title: 'Policies',
    of: ['Access'],
    roles: ['audit'],
    isWhole: true,
    load: policiesScreen,
  },
  {
    path: '/access/:id',
    title: 'Request',
    of: ['Requests', 'Approvals'],
    roles: ['approve', 'audit'],
    load: requestScreen,
  },
  { path: '/learn', title: 'Learn', key: 'l', roles: ['audit'], isWhole: true, load: learnScreen },
  { path: '/learn/:policy', title: 'Learn', roles: ['audit'], isWhole: true, load: learnScreen },
  {
    path: '/keys',
    title: 'Keys',
    key: 'k',
    roles: ['operate', 'audit'],
    isWhole: true,
    load: keysScreen,
  },
];
