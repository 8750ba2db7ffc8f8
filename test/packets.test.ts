// Where this Node.js has no shared memory for what clients send, it comes by 'data', and all is as it is elsewhere.
import { afterEach, beforeEach, vi } from 'vitest';
import { receivePackets } from './support/packets.js';
import './bodies.test.js';
import './interleaved.test.js';
import './lull.test.js';
import './pipelining.test.js';
import './unit/http/websocket.test.js';

beforeEach(receivePackets);
afterEach(() => void vi.restoreAllMocks());
