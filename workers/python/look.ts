// A thread that lives for one look: where a thread of the process's Python stands, which itself is busy.
import { parentPort, workerData } from 'node:worker_threads';
import type { PythonInstallation } from '../../src/contract/protocol.js';
import { IMPORT_GATEWAY } from './gateway-code.js';
import { openLibpython } from './libpython.js';

const LOOK = `${IMPORT_GATEWAY}
frame = part('.interrupts').find_frame(int(thread))
stack = part('.failures').format_stack(frame) if frame else ''
del frame
`;

const { installation, thread } = workerData as { installation: PythonInstallation; thread: number };
const python = openLibpython(installation);
const state = python.newThread(python.mainInterpreter());
// Waits for as long as the GIL is kept; whoever asked does not.
python.acquire(state);
python.protectStack(state);
const namespace = python.newNamespace();
python.setText(namespace, 'thread', String(thread));
if (!python.runCode(LOOK, namespace)) python.clearError();
const stack = python.getItem(namespace, 'stack');
parentPort?.postMessage(stack === 0 ? '' : python.asText(stack));
python.decref(namespace);
python.clearThread(state);
python.deleteCurrentThread();
