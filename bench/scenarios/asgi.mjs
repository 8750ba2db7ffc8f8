import { asgiContestants, asgiContestantsForMany } from '../lib/asgi-contestants.mjs';
import { CORES, enter } from '../lib/contestants.mjs';

const hello = { path: '/', body: 'Hello, world!\n' };
const page = { path: '/page', includes: ['Item &lt;', 'Visits: 1', 'Total of 20 items', '</table>'] };
const item = { name: 'towel', price: 1200, count: 3, tags: ['cotton', 'blue'] };
const post = JSON.stringify(item);
const django = { processes: CORES };

const all = [...asgiContestants, enter('Lido', { threads: CORES })];

export default {
  title: 'ASGI',
  text: 'Under uvloop everywhere. Hello is an application without a framework; FastAPI answers with JSON, and checks what is posted to it; Django makes the page of its scenario, by ASGI and by WSGI. Of event streams an event is a line that goes to all of them, published again once everybody has it, and a request is one event to one client.',
  groups: [
    {
      name: 'ASGI hello',
      app: 'asgi_hello',
      expect: hello,
      loads: [
        { name: '32 connections', kind: 'saturate', path: '/', connections: 32 },
        { name: '256 connections', kind: 'saturate', path: '/', connections: 256 },
      ],
      contestants: all,
    },
    {
      name: 'FastAPI',
      app: 'fastapi_app',
      expect: hello,
      checks: [
        { path: '/item', body: post },
        { path: '/items', post, body: JSON.stringify({ ...item, total: 3600 }) },
      ],
      loads: [
        { name: 'JSON, 32 connections', kind: 'saturate', path: '/item', connections: 32 },
        { name: 'JSON, 256 connections', kind: 'saturate', path: '/item', connections: 256 },
        { name: 'JSON posted, 32 connections', kind: 'saturate', path: '/items', post, connections: 32 },
      ],
      contestants: all,
    },
    {
      name: 'Django by ASGI',
      app: 'django_asgi',
      expect: hello,
      checks: [page],
      loads: [{ name: 'page, 32 connections', kind: 'saturate', path: '/page', connections: 32 }],
      contestants: [
        enter('Lido'),
        enter('Lido', django),
        enter('Lido', { note: 'by WSGI', app: 'django_app' }),
        enter('uvicorn'),
        enter('uvicorn', django),
        enter('uvicorn WSGI', { app: 'django_app' }),
        enter('granian ASGI'),
        enter('hypercorn'),
      ],
    },
    {
      name: 'Event streams',
      app: 'events',
      expect: hello,
      loads: [
        { name: '256 clients', kind: 'fanOut', connections: 256, unit: 'events/s' },
        { name: '5,000 clients', kind: 'fanOut', connections: 5000, unit: 'events/s', rounds: 1 },
      ],
      contestants: asgiContestantsForMany,
    },
    {
      name: 'Event streams',
      app: 'events',
      expect: hello,
      loads: [
        {
          name: '5,000 clients at rest',
          kind: 'hold',
          what: 'streams',
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
