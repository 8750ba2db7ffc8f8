/** Main thread. What the admin listener answers. It looks only: whatever changes something is the control socket's. */
import { type AdminRoute, send, sendJson, sendText } from './admin-server.js';
import type { Hub } from './hub.js';
import { writeMetrics } from './metrics.js';
import { sendProfile } from './profile-route.js';
import { formatStacks } from './stacks-text.js';
import { sendEvents, sendStatusPage } from './status-page.js';

export function createAdminRoutes(hub: Hub): readonly AdminRoute[] {
  return [
    { method: 'GET', path: '/', answer: sendStatusPage },
    { method: 'GET', path: '/events', answer: (response) => sendEvents(response, hub) },
    { method: 'GET', path: '/health/live', answer: (response) => sendJson(response, 200, { live: true }) },
    {
      method: 'GET',
      path: '/health/ready',
      answer: async (response) => {
        await hub.refresh();
        const { isReady, reasons } = hub.readiness();
        sendJson(response, isReady ? 200 : 503, { ready: isReady, reasons });
      },
    },
    {
      method: 'GET',
      path: '/metrics',
      answer: async (response) => {
        await hub.refresh();
        const { type, text } = await writeMetrics(hub.metricsSource());
        send(response, 200, type, text);
      },
    },
    {
      method: 'GET',
      path: '/stats',
      answer: async (response) => {
        await hub.refresh();
        sendJson(response, 200, hub.overview());
      },
    },
    {
      method: 'GET',
      path: '/profile',
      answer: (response, query) => sendProfile(response, query, hub),
    },
    {
      method: 'GET',
      path: '/stacks',
      answer: async (response) => sendJson(response, 200, Object.fromEntries(await hub.ask(['stacks']))),
    },
    {
      method: 'GET',
      path: '/stacks.txt',
      answer: async (response) => sendText(response, 200, formatStacks(await hub.ask(['stacks']))),
    },
  ];
}
