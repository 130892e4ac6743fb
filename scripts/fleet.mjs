// `npm run lab -- fleet [--hosts 1000] [--newcomers 3] [--rate 10000] [--minutes 5] [--days 0] [--group 100] [--seed S]`: a fleet of
// simulated gates, one process, at a real nats-server, read by a real `audit fleet watch` and `verify` (test/whole/fleet/simulated). RATE
// records a second of all hosts together, each host in turns of GROUP records; with DAYS the records tell of so many days. Gates crash,
// clocks step, NEWCOMERS of the hosts join while the others send, and on some twenty hosts something is planted that must be found there,
// and nothing else. It needs some 3 KB of disk for a record. Root, where nats-server is not installed.
import { join } from 'node:path';
import { build, install, installPackages, run } from './setup.mjs';

installPackages(['fleet']);
install();
build();
run(process.execPath, [
  '--enable-source-maps',
  '--max-semi-space-size=64',
  join('build', 'test', 'whole', 'fleet', 'simulated', 'main.js'),
  ...process.argv.slice(2),
]);
