// A thread that ends the process, whatever its other threads are at.
import { workerData } from 'node:worker_threads';
import { exitProcess } from './libpython.js';

exitProcess(workerData as number);
