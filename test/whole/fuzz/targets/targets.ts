// Every target of `npm run lab -- fuzz`: a decoder of bytes from outside has one here.

import type { Target } from '../campaign/target.js';
import { authTargets } from './auth.js';
import { httpTargets } from './http.js';
import { journalTargets } from './journal.js';
import { wireTargets } from './wire.js';
import { wordTargets } from './words.js';

export const targets: readonly Target[] = [
  ...wireTargets,
  ...httpTargets,
  ...wordTargets,
  ...authTargets,
  ...journalTargets,
];
