import { asgiContestants, asgiContestantsForMany } from '../lib/asgi-contestants.mjs';

export default {
  title: 'WebSocket',
  text: 'So many clients say 32 bytes each, and again as soon as they hear them back, from an ASGI application that echoes.',
  groups: [
    {
      name: 'WebSocket echo',
      app: 'websocket_echo',
      expect: { path: '/', body: 'Hello, world!\n' },
      loads: [
        { name: '32 clients', kind: 'echo', connections: 32, unit: 'messages/s' },
        { name: '256 clients', kind: 'echo', connections: 256, unit: 'messages/s' },
        { name: '1,000 clients', kind: 'echo', connections: 1000, unit: 'messages/s', rounds: 1 },
      ],
      contestants: asgiContestants,
    },
    {
      name: 'WebSockets',
      app: 'websocket_echo',
      expect: { path: '/', body: 'Hello, world!\n' },
      loads: [
        {
          name: '5,000 clients at rest',
          kind: 'hold',
          what: 'webSockets',
          connections: 5000,
          metric: 'bytesEach',
          better: 'lower',
          rounds: 1,
        },
      ],
      contestants: asgiContestantsForMany,
    },
  ],
};
