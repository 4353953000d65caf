// deploy/image/build: what the images are, byte for byte and name by name, and that the Dockerfile says the same.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { secret, temporaryDirectory } from './lib/fixture.mjs';
import { digestOf, readImage } from './lib/images.mjs';
import { programs } from './lib/platform.mjs';
import { run } from './lib/process.mjs';

const REPOSITORY = path.resolve(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '../..');
const BUILD = path.join(REPOSITORY, 'deploy/image/build');
const BIN = path.dirname(path.dirname(programs.keyferryd));
const VERSION = /kServerVersion\[\] = "([^"]+)"/.exec(fs.readFileSync(path.join(REPOSITORY, 'server/version.h'), 'utf8'))[1];
const NAMES = ['server', 'injector'];

const hidden = secret('environment');
let directory, out, summary;
const images = {};

// Runs the builder; variables of `env` come on top of a plain environment.
function build(args, { env = {}, ...options } = {}) {
  return run(BUILD, args, { env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env }, timeoutMs: 300_000, ...options });
}

async function built(args, options) {
  const { code, stdout, stderr } = await build(args, options);
  assert.equal(code, 0, stderr);
  return stdout;
}

const archiveOf = (folder, name, tag = VERSION) => path.join(folder, `keyferry-${name}-${tag}.tar`);

before(async () => {
  directory = temporaryDirectory();
  out = path.join(directory, 'out');
  summary = JSON.parse(await built(['--bin-dir', BIN, '--output', out, '-o', 'json'], { env: { KEYFERRY_TOKEN: hidden } })).images;
  for (const name of NAMES) images[name] = readImage(archiveOf(out, name));
});

after(() => fs.rmSync(directory, { recursive: true }));

describe('the layout', () => {
  for (const name of NAMES) {
    test(`${name}: each blob is what its digest and size say, and nothing else is there`, () => {
      const { files, index, manifest, blob } = images[name];
      assert.deepEqual(JSON.parse(files['oci-layout']), { imageLayoutVersion: '1.0.0' });
      assert.equal(index.manifests.length, 1);
      const descriptors = [index.manifests[0], manifest.config, ...manifest.layers];
      for (const descriptor of descriptors) {
        assert.equal(digestOf(blob(descriptor)), descriptor.digest);
        assert.equal(blob(descriptor).length, descriptor.size);
      }
      const known = ['oci-layout', 'index.json', ...descriptors.map(({ digest }) => `blobs/${digest.replace(':', '/')}`)];
      assert.deepEqual(Object.keys(files).sort(), known.sort());
    });

    test(`${name}: media types, layers and name`, () => {
      const { index, manifest, config, layers } = images[name];
      assert.equal(index.mediaType, 'application/vnd.oci.image.index.v1+json');
      assert.equal(index.manifests[0].mediaType, 'application/vnd.oci.image.manifest.v1+json');
      assert.deepEqual(index.manifests[0].annotations, { 'org.opencontainers.image.ref.name': `keyferry/${name}:${VERSION}` });
      assert.equal(manifest.mediaType, index.manifests[0].mediaType);
      assert.equal(manifest.config.mediaType, 'application/vnd.oci.image.config.v1+json');
      for (const { descriptor } of layers) assert.equal(descriptor.mediaType, 'application/vnd.oci.image.layer.v1.tar+gzip');
      assert.deepEqual(config.rootfs, { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) });
      assert.equal(config.history.length, layers.length);
      assert.deepEqual(index.manifests[0].platform, { architecture: config.architecture, os: config.os });
    });

    test(`${name}: the summary says the same`, () => {
      const entry = summary.find(({ image }) => image === name);
      assert.equal(entry.name, `keyferry/${name}:${VERSION}`);
      assert.equal(entry.digest, images[name].index.manifests[0].digest);
      assert.equal(entry.path, archiveOf(out, name));
      assert.equal(entry.compressedSize, images[name].manifest.layers.reduce((sum, { size }) => sum + size, 0));
    });
  }

  test('both share the layer that is not their own', () => {
    assert.equal(images.server.manifest.layers[0].digest, images.injector.manifest.layers[0].digest);
    assert.notEqual(images.server.manifest.layers[1].digest, images.injector.manifest.layers[1].digest);
  });
});

describe('the configuration', () => {
  const expected = {
    server: {
      Entrypoint: ['/usr/local/bin/keyferryd'],
      Cmd: ['serve', '--config', '/etc/keyferry/keyferryd.yaml'],
      ExposedPorts: { '7443/tcp': {}, '8443/tcp': {}, '9443/tcp': {} },
    },
    injector: { Entrypoint: ['/usr/local/bin/keyferry-injector'], Cmd: ['--help'], ExposedPorts: { '8443/tcp': {} } },
  };

  for (const name of NAMES) {
    test(name, () => {
      const { config } = images[name];
      const { Labels: labels, ...rest } = config.config;
      assert.deepEqual(rest, { ...expected[name], User: '65532:65532', Env: ['PATH=/usr/local/bin'], WorkingDir: '/', StopSignal: 'SIGTERM' });
      assert.equal(config.os, 'linux');
      assert.equal(config.created, '1970-01-01T00:00:00Z');
      assert.equal(labels['org.opencontainers.image.version'], VERSION);
      assert.equal(labels['org.opencontainers.image.licenses'], 'Apache-2.0');
      for (const what of ['title', 'description']) assert.ok(labels[`org.opencontainers.image.${what}`].length > 10);
    });
  }
});

describe('the files', () => {
  const machine = { x64: ['x86_64-linux-gnu', 'lib64/ld-linux-x86-64.so.2'], arm64: ['aarch64-linux-gnu', 'lib/ld-linux-aarch64.so.1'] };
  const [triplet, loader] = machine[process.arch];
  const libraries = ['libc.so.6', 'libgcc_s.so.1', 'libm.so.6', 'libstdc++.so.6'].map((library) => `lib/${triplet}/${library}`);
  const packages = ['ca-certificates', 'libc6', 'libgcc-s1', 'libstdc++6'];
  const own = { server: ['keyferryd', 'keyferry'], injector: ['keyferry-injector', 'keyferry-launch'] };
  const filesOf = (name) => images[name].members.filter(({ kind }) => kind === 'file');
  const find = (name, wanted) => images[name].members.find((member) => member.path === wanted);

  for (const name of NAMES) {
    test(`${name}: exactly what is expected, and nobody's shell`, () => {
      const licenses = filesOf(name).map((member) => member.path).filter((file) => /^usr\/share\/doc\/[a-z0-9.+-]+\/copyright$/.test(file));
      assert.ok([...packages, 'keyferry', 'boringssl', 'grpc', 'libprotobuf-dev'].every((part) => licenses.includes(`usr/share/doc/${part}/copyright`)));
      assert.deepEqual(filesOf(name).map((member) => member.path).sort(), [
        'etc/group', 'etc/nsswitch.conf', 'etc/os-release', 'etc/passwd', 'etc/ssl/certs/ca-certificates.crt', loader, ...libraries,
        ...own[name].map((program) => `usr/local/bin/${program}`), ...licenses, ...packages.map((part) => `var/lib/dpkg/status.d/${part}`),
      ].sort());
    });

    test(`${name}: files and directories of root, for all to read and nobody else to write`, () => {
      const homes = name === 'server' ? ['var/lib/keyferry/'] : [];
      for (const member of images[name].members) {
        assert.ok(['file', 'directory'].includes(member.kind), `${member.path} is of kind ${member.kind}`);
        if (homes.includes(member.path)) continue;
        assert.deepEqual([member.uid, member.gid, member.names], [0, 0, ''], member.path);
        assert.ok([0o644, 0o755].includes(member.mode), `${member.path} has mode ${member.mode.toString(8)}`);
        assert.equal(member.mtime, 0);
      }
      for (const home of homes) {
        const { kind, mode, uid, gid } = find(name, home);
        assert.deepEqual({ kind, mode, uid, gid }, { kind: 'directory', mode: 0o700, uid: 65532, gid: 65532 });
      }
    });

    test(`${name}: a directory comes before what is in it, and nothing twice`, () => {
      for (const { members } of images[name].layers) {
        const seen = new Set(['./']);
        for (const member of members) {
          assert.ok(seen.has(`${path.dirname(member.path)}/`), `${member.path} comes before its directory`);
          assert.ok(!seen.has(member.path), `${member.path} is there twice`);
          seen.add(member.path);
        }
      }
    });

    test(`${name}: nothing but programs and libraries can be executed`, () => {
      const executable = filesOf(name).filter(({ mode }) => mode & 0o111).map((member) => member.path);
      const allowed = [loader, ...libraries, ...own[name].map((program) => `usr/local/bin/${program}`)];
      assert.deepEqual(executable.filter((file) => !allowed.includes(file)), []);
      assert.ok(own[name].every((program) => executable.includes(`usr/local/bin/${program}`)));
    });

    test(`${name}: no secret, no private key, and nothing of who built it`, () => {
      for (const { path: file, bytes } of [...filesOf(name), { path: 'index', bytes: Buffer.concat(Object.values(images[name].files)) }]) {
        for (const text of [hidden, directory, ...(/^usr\/local\/bin|\.so/.test(file) ? [] : ['PRIVATE KEY'])]) {
          assert.ok(!bytes.includes(text), `${file} holds ${text === hidden ? 'a variable of the builder' : text}`);
        }
      }
    });

    test(`${name}: the programs are those that were given, without symbols`, async () => {
      for (const program of own[name]) {
        const file = path.join(directory, program);
        fs.writeFileSync(file, find(name, `usr/local/bin/${program}`).bytes, { mode: 0o755 });
        assert.doesNotMatch((await run('readelf', ['-SW', file], { env: { PATH: process.env.PATH } })).stdout, /\.symtab|\.debug_/);
        const given = path.join(BIN, { keyferryd: 'server', keyferry: 'client' }[program] ?? 'injector', program);
        const identifier = async (of) => /Build ID: (\w+)/.exec((await run('readelf', ['-nW', of], { env: { PATH: process.env.PATH } })).stdout)?.[1];
        assert.equal(await identifier(file), await identifier(given));
      }
    });
  }

  test('libraries are the machine\'s, and dpkg\'s word goes with them', async () => {
    for (const library of [loader, ...libraries]) assert.equal(digestOf(find('server', library).bytes), digestOf(fs.readFileSync(`/${library}`)), library);
    for (const name of packages) {
      const version = (await run('dpkg-query', ['-W', '-f', '${Version}', name], { env: { PATH: process.env.PATH } })).stdout;
      const record = find('server', `var/lib/dpkg/status.d/${name}`).bytes.toString();
      assert.match(record, new RegExp(`^Package: ${name.replaceAll('+', '\\+')}$`, 'm'));
      assert.ok(record.includes(`\nVersion: ${version}\n`), record);
      assert.doesNotMatch(record, /: *$/m);
    }
  });

  test('the CAs are Debian\'s, none of this machine\'s own', async () => {
    const certificates = (text) => text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g).map((one) => one.replaceAll(/\s/g, '')).sort();
    const { stdout } = await run('dpkg-query', ['-L', 'ca-certificates'], { env: { PATH: process.env.PATH } });
    const files = stdout.split('\n').filter((file) => /^\/usr\/share\/ca-certificates\/.*\.crt$/.test(file));
    assert.ok(files.length > 50);
    assert.deepEqual(certificates(find('server', 'etc/ssl/certs/ca-certificates.crt').bytes.toString()), files.flatMap((file) => certificates(fs.readFileSync(file, 'utf8'))).sort());
  });
});

describe('reproducible', () => {
  test('the same programs give the same bytes: elsewhere, later, side by side, under another umask', async () => {
    const bin = path.join(directory, 'flat');
    const other = path.join(directory, 'other');
    fs.mkdirSync(bin);
    for (const program of Object.values(programs)) {
      fs.copyFileSync(program, path.join(bin, path.basename(program)));
      fs.chmodSync(path.join(bin, path.basename(program)), 0o700);
      fs.utimesSync(path.join(bin, path.basename(program)), 1e9, 1e9);
    }
    fs.cpSync(path.join(BIN, 'third_party/licenses'), bin, { recursive: true, dereference: true });
    const { code, stderr } = await run('sh', ['-c', 'umask 077; exec "$@"', 'sh', BUILD, '--bin-dir', 'flat', '--output', other],
      { env: { PATH: process.env.PATH, HOME: '/nonexistent', TZ: 'Asia/Tokyo', PYTHONHASHSEED: '7' }, cwd: directory, timeoutMs: 300_000 });
    assert.equal(code, 0, stderr);
    for (const name of NAMES) assert.equal(digestOf(fs.readFileSync(archiveOf(other, name))), digestOf(fs.readFileSync(archiveOf(out, name))), name);
  });

  test('as a directory it is the same image; tag, repository and time are as asked', async () => {
    const folder = path.join(directory, 'layout');
    const asked = ['--image', 'injector', '--bin-dir', BIN, '--output', folder];
    await built([...asked, '--format', 'layout']);
    const place = path.join(folder, `keyferry-injector-${VERSION}`);
    const files = fs.readdirSync(place, { recursive: true }).filter((file) => fs.statSync(path.join(place, file)).isFile());
    assert.deepEqual(files.sort(), Object.keys(images.injector.files).sort());
    for (const file of files) assert.equal(digestOf(fs.readFileSync(path.join(place, file))), digestOf(images.injector.files[file]));
    // Once more over it, and beside it.
    await built([...asked, '--format', 'layout']);
    await built([...asked, '--tag', 'v1', '--repository', 'registry.example:5000/tools'], { env: { SOURCE_DATE_EPOCH: '1000000000' } });
    const renamed = readImage(archiveOf(folder, 'injector', 'v1'));
    assert.equal(renamed.index.manifests[0].annotations['org.opencontainers.image.ref.name'], 'registry.example:5000/tools/injector:v1');
    assert.equal(renamed.config.created, '2001-09-09T01:46:40Z');
    assert.ok(renamed.members.every(({ mtime }) => mtime === 1e9));
    assert.deepEqual(fs.readdirSync(folder).sort(), [`keyferry-injector-${VERSION}`, 'keyferry-injector-v1.tar']);
  });

  test('--rootfs writes the image\'s files', async () => {
    const folder = path.join(directory, 'rootfs');
    await built(['--bin-dir', BIN, '--rootfs', folder], { env: { SOURCE_DATE_EPOCH: '5' } });
    for (const name of NAMES) {
      const place = path.join(folder, name);
      const paths = new Set(images[name].members.map((member) => member.path.replace(/\/$/, '')));
      assert.deepEqual(new Set(fs.readdirSync(place, { recursive: true })), paths);
      for (const member of images[name].members) {
        const status = fs.lstatSync(path.join(place, member.path));
        assert.deepEqual([status.mode & 0o7777, status.mtimeMs], [member.mode, 5000], member.path);
        if (process.getuid() === 0) assert.deepEqual([status.uid, status.gid], [member.uid, member.gid], member.path);
        if (member.kind === 'file') assert.ok(fs.readFileSync(path.join(place, member.path)).equals(member.bytes), member.path);
      }
    }
  });
});

describe('what cannot be built is refused, and leaves nothing', () => {
  // Makes a program in a folder of the test's directory, and answers the folder's name.
  const script = (folder, name, text) => {
    fs.mkdirSync(path.join(directory, folder), { recursive: true });
    fs.writeFileSync(path.join(directory, folder, name), text, { mode: 0o755 });
    return folder;
  };
  const usage = [
    ['an unknown image', () => ['--image', 'client', '--output', 'new'], /invalid choice: 'client'/],
    ['neither output nor rootfs', () => ['--bin-dir', BIN], /--output DIR for images, or --rootfs DIR/],
    ['both', () => ['--output', 'new', '--rootfs', 'new'], /--output DIR for images, or --rootfs DIR/],
    ['a tag with a slash', () => ['--output', 'new', '--tag', 'a/b'], /"a\/b" is no tag/],
    ['a tag that leads elsewhere', () => ['--output', 'new', '--tag', '..'], /"\.\." is no tag/],
    ['a repository in capitals', () => ['--output', 'new', '--repository', 'Keyferry'], /"Keyferry" is no name of a repository/],
    ['a tag for files alone', () => ['--rootfs', 'new', '--tag', '1'], /are of images/],
    ['no such directory', () => ['--output', 'new', '--bin-dir', 'absent'], /there is no directory absent/],
    ['an argument too many', () => ['--output', 'new', 'server'], /unrecognized arguments: server/],
    ['a time that is none', () => ['--bin-dir', BIN, '--output', 'new'], /SOURCE_DATE_EPOCH is "noon"/, { SOURCE_DATE_EPOCH: 'noon' }],
  ].map(([what, args, message, env]) => [what, 64, args, message, env]);
  const failures = [
    ['a program is missing', () => ['--bin-dir', script('half', 'keyferryd', '')], /there is no keyferry in half: neither half\/client\/keyferry nor half\/keyferry/],
    ['a program is a script', () => ['--image', 'injector', '--bin-dir', script(script('text', 'keyferry-injector', '#!/bin/sh\n'), 'keyferry-launch', '')], /text\/keyferry-injector/],
    ['a program is another', () => {
      const other = fs.readFileSync('/bin/true');
      return ['--image', 'injector', '--bin-dir', script(script('swapped', 'keyferry-injector', other), 'keyferry-launch', other)];
    }, /does not say that it is keyferry-injector/],
  ].map(([what, args, message]) => [what, 1, () => [...args(), '--output', 'new'], message]);

  for (const [what, code, args, message, env] of [...usage, ...failures]) {
    test(what, async () => {
      const result = await build(args(), { cwd: directory, env });
      assert.match(result.stderr, message);
      assert.match(result.stderr.trim().split('\n').at(-1), /^image: /);
      assert.equal(result.code, code, result.stderr);
      assert.ok(!fs.existsSync(path.join(directory, 'new')));
    });
  }

  test('a build that is interrupted', async () => {
    const marker = path.join(directory, 'stripping');
    const tools = path.join(directory, script('tools', 'strip', `#!/bin/sh\n: > ${marker}\nexec sleep 600\n`));
    const child = spawn(BUILD, ['--bin-dir', BIN, '--output', path.join(directory, 'new')],
      { env: { PATH: `${tools}:${process.env.PATH}` }, stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)));
    while (!fs.existsSync(marker) && child.exitCode === null) await sleep(20);
    assert.ok(fs.readdirSync(path.join(directory, 'new')).length > 0, 'it has begun');
    child.kill('SIGTERM');
    assert.equal(await ended, 130);
    assert.ok(!fs.existsSync(path.join(directory, 'new')));
  });

  test('a directory with something else in it stays as it is', async () => {
    const rootfs = path.join(directory, 'mine');
    script('mine/injector', 'notes', 'mine');
    const { code, stderr } = await build(['--bin-dir', BIN, '--rootfs', rootfs]);
    assert.equal(code, 1);
    assert.match(stderr, /injector is there and is no image/);
    assert.deepEqual(fs.readdirSync(rootfs, { recursive: true }).sort(), ['injector', 'injector/notes']);
    const { code: other, stderr: said } = await build(['--bin-dir', BIN, '--output', path.join(rootfs, 'injector/notes')]);
    assert.equal(other, 1);
    assert.match(said, /cannot write to .*notes/);
  });
});

describe('the Dockerfile', () => {
  const text = fs.readFileSync(path.join(REPOSITORY, 'deploy/image/Dockerfile'), 'utf8').replaceAll(/\\\n\s*/g, '').replaceAll(/^#.*\n/gm, '');
  const stages = Object.fromEntries(text.split(/^(?=FROM )/m).slice(1).map((stage) => {
    const [, from, name] = /^FROM (\S+) AS (\S+)/.exec(stage);
    return [name, { from, lines: stage.trim().split('\n').slice(1) }];
  }));
  const values = (name, instruction) => stages[name].lines.filter((line) => line.startsWith(`${instruction} `)).map((line) => line.slice(instruction.length + 1));

  test('builds from Debian, with the same script, and takes nothing from elsewhere', () => {
    assert.deepEqual(Object.keys(stages), ['build', 'injector', 'server']);
    assert.match(text, /^ARG DEBIAN=debian:12-slim$/m);
    assert.equal(stages.build.from, '${DEBIAN}');
    assert.ok(values('build', 'RUN').at(-1).endsWith(' deploy/image/build --rootfs /out'));
    assert.doesNotMatch(text, /https?:|^ADD /m);
  });

  for (const name of NAMES) {
    test(`${name} is configured as the image is`, () => {
      const { config } = images[name].config;
      assert.equal(stages[name].from, 'scratch');
      assert.deepEqual(values(name, 'COPY'), [`--from=build /out/${name} /`]);
      assert.deepEqual(values(name, 'USER'), [config.User]);
      assert.deepEqual(values(name, 'ENV'), config.Env);
      assert.deepEqual(values(name, 'WORKDIR'), [config.WorkingDir]);
      assert.deepEqual(values(name, 'STOPSIGNAL'), [config.StopSignal]);
      assert.deepEqual(values(name, 'ENTRYPOINT').map(JSON.parse), [config.Entrypoint]);
      assert.deepEqual(values(name, 'CMD').map(JSON.parse), [config.Cmd]);
      assert.deepEqual(values(name, 'EXPOSE').flatMap((line) => line.split(' ')), Object.keys(config.ExposedPorts));
      const version = /^ARG VERSION=(\S+)$/m.exec(text)[1];
      const labels = values(name, 'LABEL').flatMap((line) => [...line.matchAll(/([a-z.]+)="([^"]*)"/g)]).map(([, key, value]) => [key, value.replace('${VERSION}', version)]);
      assert.deepEqual(Object.fromEntries(labels), config.Labels);
      assert.deepEqual(stages[name].lines.map((line) => line.split(' ')[0]).filter((line) => !['ARG', 'COPY', 'USER', 'ENV', 'WORKDIR', 'STOPSIGNAL', 'ENTRYPOINT', 'CMD', 'EXPOSE', 'LABEL', ''].includes(line)), []);
    });
  }
});
