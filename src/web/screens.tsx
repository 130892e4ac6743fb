// The table of screens. One line each: its path, its title, the letter behind `g`, who may see it, and what draws it.

import type { ComponentType } from 'preact';
import type { PageRole } from '../domain/admin/page/roles.js';
import { AccessScreen } from './access-screen.js';
import { ApprovalsScreen } from './approvals-screen.js';
import { BackendsScreen } from './backends-screen.js';
import { ExchangeScreen } from './exchange-screen.js';
import { KeysScreen } from './keys-screen.js';
import { LearnScreen } from './learn-screen.js';
import { MailboxScreen } from './mailbox-screen.js';
import { NowScreen } from './now-screen.js';
import { ProofScreen } from './proof-screen.js';
import type { ScreenProps } from './route.js';
import { TrailScreen } from './trail-screen.js';

export interface Screen {
  readonly path: string;
  readonly title: string;
  /** The letter after `g`; absent: not in the menu, reached from another screen. */
  readonly key?: string;
  readonly roles: readonly PageRole[];
  /** Hidden from people who may see only some mail users. */
  readonly isWhole?: true;
  readonly component: ComponentType<ScreenProps>;
}

const everybody: readonly PageRole[] = ['view', 'operate', 'audit', 'approve'];

export const screens: readonly Screen[] = [
  { path: '/', title: 'Now', key: 'n', roles: everybody, component: NowScreen },
  { path: '/backends', title: 'Backends', key: 'b', roles: everybody, component: BackendsScreen },
  { path: '/approvals', title: 'Approvals', key: 'v', roles: ['approve'], component: ApprovalsScreen },
  { path: '/trail', title: 'Trail', key: 't', roles: ['audit'], component: TrailScreen },
  { path: '/trail/:id', title: 'One command', roles: ['audit'], component: ExchangeScreen },
  { path: '/mailbox', title: 'Mailbox', key: 'm', roles: ['audit'], component: MailboxScreen },
  { path: '/mailbox/:user', title: 'Mailbox', roles: ['audit'], component: MailboxScreen },
  { path: '/proof', title: 'Proof', key: 'p', roles: everybody, component: ProofScreen },
  { path: '/access', title: 'Access', key: 'a', roles: ['audit'], isWhole: true, component: AccessScreen },
  { path: '/learn', title: 'Learn', key: 'l', roles: ['audit'], isWhole: true, component: LearnScreen },
  { path: '/learn/:policy', title: 'Learn', roles: ['audit'], isWhole: true, component: LearnScreen },
  {
    path: '/keys',
    title: 'Keys',
    key: 'k',
    roles: ['operate', 'audit'],
    isWhole: true,
    component: KeysScreen,
  },
];
