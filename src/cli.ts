#!/usr/bin/env node
/** Main thread. The lido command, begun: what takes longest is set going before anything else is read. */
// First, before anything it remembers is changed.
import './server/birth.js';
import { forkEarly } from './server/early-process.js';

forkEarly(process.argv.slice(2), process.env);
void import('./command.js');
