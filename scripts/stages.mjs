// Which stage runs a test, and which of the two commands: `npm test`, or `npm run test:full` alone.

export const stageFolders = {
  package: ['package'],
  scenario: ['scenario', 'shells'],
  page: ['browser'],
  fuzz: ['fuzz'],
  dovecot: ['dovecot'],
  audit: ['rsyslog', 'prometheus', 'exim'],
  fleet: ['fleet'],
  systemd: ['systemd'],
  container: ['container'],
};
/**
 * What `npm test` leaves to `npm run test:full`: files and folders below test/. They are dear: what is handed out, booted systems and the
 * image; searches; other programs; models and the tests' own tools; long stories; the page but for signing in and a walk of each screen.
 */
export const onlyFull = `
  package/ systemd/ container/
  dovecot/differential dovecot/mailbox-search dovecot/preset-search dovecot/http-differences
  dovecot/dsync dovecot/cli-forms dovecot/mcp
  model/ mcp/ kit-self/
  fuzz/campaign fuzz/forge-fleet fuzz/forge-journal
  scenario/docs scenario/victims scenario/walks scenario/whole-output scenario/brute-force
  fleet/chaos fleet/cluster fleet/lost-blocks
  browser/approvals browser/clicks browser/first-start browser/incidents browser/keyboard browser/keys browser/live
  browser/names browser/oidc-certified browser/phone browser/policies browser/report-file browser/strangers
  browser/tabs browser/trail browser/watch browser/widths
`
  .trim()
  .split(/\s+/);

/** `path`: of a test, with or without its ending. */
export function isOnlyFull(path) {
  const name = path.replace(/^(?:build\/)?test\//, '').replace(/\.test\.[jt]s$/, '');
  return onlyFull.some((each) => (each.endsWith('/') ? name.startsWith(each) : name === each));
}

export const notUnit = new Set(['kit', 'vectors', 'bench', ...Object.values(stageFolders).flat()]);

/** The stage that runs a test file. */
export function stageOf(path) {
  const folder = /(?:^|\/)test\/([^/]+)\//.exec(path)?.[1];
  return Object.keys(stageFolders).find((stage) => stageFolders[stage].includes(folder)) ?? 'unit';
}
