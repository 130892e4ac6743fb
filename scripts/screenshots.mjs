// `npm run lab -- screenshots [-- FOLDER]`: pictures of every screen of the page, into docs/screens, or all of them into another folder.
// They are of a real daemon with staged traffic, in the Chromium of the distribution (test/page/browser/screenshots.ts).
import { join } from 'node:path';
import { build, install, installPackages, run } from './setup.mjs';

installPackages(['browser']);
install();
build();
run(process.execPath, [join('build', 'test', 'page', 'browser', 'screenshots.js'), ...process.argv.slice(2)]);
