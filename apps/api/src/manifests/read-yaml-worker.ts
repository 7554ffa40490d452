/** The thread of `parseManifestYaml`: reads one text, says what it found, ends. */
import { parentPort, workerData } from 'node:worker_threads';
import { readYaml } from './read-yaml.ts';

parentPort?.postMessage(readYaml(String(workerData)));
