// Rotation under MCP servers that keep state outside of the process, and under requests of the server to the client: no
// call is lost, done twice or answered twice, and each answer of the user reaches the process that asked.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { secret, serverFile, startServer, temporaryDirectory } from './lib/fixture.mjs';
import { everything, filesystem, launchThrough, memory } from './lib/mcp.mjs';
import { childEnvironmentsOf } from './lib/process.mjs';
import { rotate, Traffic, until } from './lib/rotation.mjs';

let directory, server, admin;

before(async () => {
  directory = fs.realpathSync(temporaryDirectory());
  server = await startServer(directory);
  admin = server.admin();
  await admin.cli(['credential', 'create', 'TOKEN'], secret('token'));
  await admin.cli(['credential', 'create', 'STEP'], 's0');
});

after(async () => {
  await server.stop();
  fs.rmSync(directory, { recursive: true });
});

async function supervised(id, command, options = {}) {
  await admin.apply(serverFile(id, ['name: TOKEN, orgSecret: TOKEN', 'name: STEP, orgSecret: STEP']));
  const flags = ['--mcp-server', id, '--supervise', '--debounce', '10ms', ...(options.flags ?? [])];
  const session = await launchThrough(flags, command, { ...admin.variables, ...options.env }, options);
  session.traffic = new Traffic(session.client);
  return session;
}

// What a tool says, which must not be an error.
async function call(session, name, args = {}) {
  const result = await session.client.callTool({ name, arguments: args });
  const text = result.content.map((part) => part.text).join('');
  assert.ok(!result.isError, `${name}: ${text}`);
  return text;
}

// Runs each of the loops, once at least, until `work` is done, which is to call `check` while it waits. Answers how often
// each ran.
async function underLoad(loops, work) {
  const rounds = Object.fromEntries(Object.keys(loops).map((name) => [name, 0]));
  let failure;
  let working = true;
  const check = () => {
    if (failure) throw failure;
    return true;
  };
  const running = Object.entries(loops).map(async ([name, once]) => {
    do {
      await once(rounds[name]);
      rounds[name] += 1;
      await sleep(50);
    } while (working);
  });
  const noted = running.map((loop) => loop.catch((error) => { failure ??= error; }));
  try {
    await work(check);
  } finally {
    working = false;
    await Promise.all(noted);
  }
  check();
  return rounds;
}

function assertNothingLost(session) {
  assert.deepEqual(session.errors, []);
  assert.deepEqual(session.traffic.lostOrDuplicated, []);
}

describe('servers that keep files', () => {
  const ROTATIONS = 20;
  let files, graph;
  let rootsAsked = 0;

  before(async () => {
    const folder = path.join(directory, 'files');
    fs.mkdirSync(folder);
    files = await supervised('filesystem', filesystem(folder), {
      capabilities: { roots: {} },
      prepare(client) {
        client.setRequestHandler(ListRootsRequestSchema, async () => {
          rootsAsked += 1;
          return { roots: [{ uri: pathToFileURL(folder).href, name: 'files' }] };
        });
      },
    });
    files.folder = folder;
    graph = await supervised('memory', memory, { env: { MEMORY_FILE_PATH: path.join(directory, 'memory.jsonl') } });
  });

  after(() => Promise.all([files.close(), graph.close()]));

  // An edit that is done twice shows: it puts a mark before the end of the file.
  const fileLoops = () => {
    const inFolder = (name) => path.join(files.folder, name);
    const large = 'a line of a large file\n'.repeat(5000);
    fs.writeFileSync(inFolder('large'), large);
    return {
      async edit(round) {
        const file = inFolder(`edited-${round}`);
        assert.equal(await call(files, 'write_file', { path: file, content: 'end\n' }), `Successfully wrote to ${file}`);
        await call(files, 'edit_file', { path: file, edits: [{ oldText: 'end', newText: `mark ${round} end` }] });
        assert.equal(await call(files, 'read_text_file', { path: file }), `mark ${round} end\n`);
      },
      // Fails if it is done twice: the source is gone.
      async move(round) {
        const [from, to] = [inFolder(`from-${round}`), inFolder(`to-${round}`)];
        fs.writeFileSync(from, 'moved');
        await call(files, 'move_file', { source: from, destination: to });
        assert.ok(fs.existsSync(to) && !fs.existsSync(from));
      },
      async large() {
        assert.ok(await call(files, 'read_text_file', { path: inFolder('large') }) === large, 'the large file came changed');
      },
      async list() {
        assert.match(await call(files, 'list_directory', { path: files.folder }), /^\[FILE\] large$/m);
      },
    };
  };

  // The server itself reads and writes its file without a lock, so that only one call at a time may change it.
  const graphLoops = () => {
    const entity = (round) => ({ name: `entity-${round}`, entityType: 'thing', observations: ['made once'] });
    let made = 0;
    const newest = async (tool, args) => {
      const least = made;
      const { entities } = JSON.parse(await call(graph, tool, args));
      assert.ok(entities.length >= least, `${tool} shows ${entities.length} of ${least} entities`);
      assert.deepEqual(entities, entities.map((_, round) => entity(round)));
    };
    return {
      async make(round) {
        assert.deepEqual(JSON.parse(await call(graph, 'create_entities', { entities: [entity(round)] })), [entity(round)]);
        made = round + 1;
      },
      read: () => newest('read_graph', {}),
      search: () => newest('search_nodes', { query: 'made once' }),
      async open() {
        const last = made - 1;
        const { entities } = JSON.parse(await call(graph, 'open_nodes', { names: [`entity-${last}`] }));
        assert.deepEqual(entities, last < 0 ? [] : [entity(last)]);
      },
    };
  };

  test(`${ROTATIONS} rotations under load: no call fails, is lost, or done or answered twice`, async () => {
    const loops = { ...fileLoops(), ...graphLoops() };
    const rounds = await underLoad(loops, async (check) => {
      for (let step = 1; step <= ROTATIONS; step += 1) {
        await rotate(admin, { TOKEN: secret('token'), STEP: `s${step}` });
        await until('both sessions have moved', () => check() && files.traffic.moves >= step && graph.traffic.moves >= step, 60_000);
      }
    });

    for (const session of [files, graph]) {
      assertNothingLost(session);
      assert.equal(session.traffic.moves, ROTATIONS);
      await until('only the last process is there', () => childEnvironmentsOf(session.pid).length === 1);
      assert.equal(childEnvironmentsOf(session.pid)[0].STEP, `s${ROTATIONS}`);
    }
    await until('each process of the file server has asked for the roots', () => rootsAsked === ROTATIONS + 1);
    const expected = ['large', ...Array.from({ length: rounds.edit }, (_, i) => `edited-${i}`), ...Array.from({ length: rounds.move }, (_, i) => `to-${i}`)];
    assert.deepEqual(fs.readdirSync(files.folder).sort(), expected.sort());
    for (let i = 0; i < rounds.edit; i += 1) {
      assert.equal(fs.readFileSync(path.join(files.folder, `edited-${i}`), 'utf8'), `mark ${i} end\n`);
    }
    assert.equal(JSON.parse(await call(graph, 'read_graph')).entities.length, rounds.make);
  });
});

describe('requests of the server to the user', () => {
  // The injector lets four replaced processes finish at a time.
  const WAVES = 2;
  const PROCESSES = 4;
  // The step of the newest process, and the answers that are held back: each names the step at which it was asked for.
  let step, held, session;

  const hold = (answer) => new Promise((resolve) => {
    const asked = step;
    held.push(() => resolve(answer(asked)));
  });

  before(async () => {
    held = [];
    step = 's0';
    await rotate(admin, { STEP: step });
    session = await supervised('everything', everything, {
      flags: ['--drain-timeout', '10m'],
      capabilities: { sampling: {}, elicitation: {}, roots: { listChanged: true } },
      prepare(client) {
        const sampled = (text) => ({ model: 'none', role: 'assistant', content: { type: 'text', text: `sampled ${text}` } });
        client.setRequestHandler(CreateMessageRequestSchema, async ({ params }) => {
          const prompt = params.messages[0].content.text;
          return prompt.endsWith('held') ? hold(sampled) : sampled(prompt);
        });
        client.setRequestHandler(ElicitRequestSchema, () => hold((asked) => ({ action: 'accept', content: { name: asked } })));
        client.setRequestHandler(ListRootsRequestSchema, () => hold((asked) => ({ roots: [{ uri: `file:///${asked}`, name: asked }] })));
      },
    });
  });

  after(() => session.close());

  // Calls that ask the user in the midst, and who was told: all of them the step of the process.
  const asking = [
    ['trigger-elicitation-request', {}, /^- Name: (\S+)$/m],
    ['trigger-sampling-request', { prompt: 'held' }, /"sampled (\S+)"/],
    ['get-roots-list', {}, /^1\. (\S+)\n {3}URI: file:\/\/\/\1$/m],
  ];
  // Each process asks for the roots once more by itself, soon after its start.
  const REQUESTS = asking.length + 1;

  // The calls, unanswered, once all that the process asks has come.
  async function askFrom(process, check) {
    const before = held.length - held.length % REQUESTS;
    await until(`process ${process} answers`, async () => check() && (await session.env()).STEP === process, 60_000);
    const calls = asking.map(async ([name, args, pattern]) => {
      const text = await call(session, name, args);
      assert.equal(pattern.exec(text)?.[1], process, `${name} in process ${process} was told: ${text}`);
    });
    // They are awaited only when all have asked.
    for (const one of calls) one.catch(() => {});
    await until(`process ${process} has asked`, () => check() && held.length === before + REQUESTS, 60_000);
    return calls;
  }

  test('sampling, elicitation and roots: answered late, each answer reaches the process that asked', async () => {
    let rotations = 0;
    const load = {
      async echo(round) {
        assert.equal(await call(session, 'echo', { message: `round ${round}` }), `Echo: round ${round}`);
      },
      async sampling(round) {
        assert.match(await call(session, 'trigger-sampling-request', { prompt: `round ${round}.` }), new RegExp(`"sampled .* round ${round}\\."`));
      },
    };
    await underLoad(load, async (check) => {
      for (let wave = 0; wave < WAVES; wave += 1) {
        const calls = [];
        const steps = [];
        for (let i = 0; i < PROCESSES; i += 1) {
          if (wave + i > 0) {
            step = `s${rotations += 1}`;
            await rotate(admin, { STEP: step });
          }
          steps.push(step);
          calls.push(...await askFrom(step, check));
        }
        const serving = () => childEnvironmentsOf(session.pid).map((env) => env.STEP).sort();
        await until('those of the wave before have ended', () => serving().length <= PROCESSES);
        assert.deepEqual(serving(), steps.sort());
        // The newest is answered first, then an old one, and so on from both ends.
        while (held.length > 0) (held.length % 2 ? held.shift() : held.pop())();
        await Promise.all(calls);
      }
    });
    assertNothingLost(session);
    assert.equal(rotations, WAVES * PROCESSES - 1);
  });
});
