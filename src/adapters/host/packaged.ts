// What the packages make: the users, each with a group of its name, and the places that a command looks at when it may read no
// configuration.

export const packaged = {
  user: 'dovegate',
  pageUser: 'dovegate-page',
  shipUser: 'dovegate-ship',
  journalGroup: 'dovegate-journal',
  file: '/etc/dovegate/dovegate.yaml',
  state: '/var/lib/dovegate',
  journal: '/var/lib/dovegate/audit',
  pageSocket: '/run/dovegate/page.sock',
} as const;
