// What the packages make: users, each with a group of its name, and the places where a command looks without a readable configuration.

export const packaged = {
  user: 'dovegate',
  pageUser: 'dovegate-page',
  shipUser: 'dovegate-ship',
  journalGroup: 'dovegate-journal',
  file: '/etc/dovegate/dovegate.yaml',
  run: '/run/dovegate',
  state: '/var/lib/dovegate',
  journal: '/var/lib/dovegate/audit',
  pageSocket: '/run/dovegate/page.sock',
} as const;

/** The configuration if no option names one: DOVEGATE_CONFIG, else the standard place. */
export function standardConfig(): string {
  const named = process.env['DOVEGATE_CONFIG'];
  return named === undefined || named === '' ? packaged.file : named;
}

export const standardConfigHelp = `$DOVEGATE_CONFIG, else ${packaged.file}`;
