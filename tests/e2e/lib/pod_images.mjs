// Images as tests need them: what is mounted in an empty root directory, and who runs in it.
import fs from 'node:fs';
import { machineLibraries, machinePrograms } from './containers.mjs';
import { everything } from './mcp.mjs';
import { programs } from './platform.mjs';

const MODULES = '/node_modules/';
const file = (destination, source) => ({ destination, source: fs.realpathSync(source), readOnly: true });

// Keyferry's own: its two programs and the libraries that they load.
export function keyferryImage() {
  return {
    uid: 65532,
    mounts: [...machineLibraries(), file('/usr/local/bin/keyferry-injector', programs.injector), file('/usr/local/bin/keyferry-launch', programs.launch)],
  };
}

// This machine's shell and Python, the node that runs the tests as /srv/node, and MCP servers below /srv/node_modules.
export function toolsImage() {
  const modules = everything[1].slice(0, everything[1].indexOf(MODULES) + MODULES.length);
  return { mounts: [...machinePrograms(), file('/srv/node', process.execPath), file('/srv/node_modules', modules)], env: { HOME: '/tmp' } };
}

// An empty root with one static program, /probe.
export function scratchImage(program) {
  return { uid: 1000, mounts: [file('/probe', program)] };
}
