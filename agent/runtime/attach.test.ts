import assert from 'node:assert/strict'
import { PassThrough, type Readable } from 'node:stream'
import { test } from 'node:test'
import { exitOf, needsContainers, testRuntime } from './testing.ts'

const options = { skip: needsContainers }

/** Resolves once the stream has given a text that matches, with all of it so far. */
async function until(stream: Readable, pattern: RegExp): Promise<string> {
  let seen = ''
  for (;;) {
    const chunk = stream.read() as Buffer | null
    if (chunk === null) await new Promise((resolve) => stream.once('readable', resolve))
    else if (pattern.test((seen += chunk))) return seen
  }
}

test('exec on a terminal: size, its changes, input, exit code', options, async (t) => {
  const { runtime, spec } = await testRuntime(t)
  const { id } = await runtime.start(spec())
  const [stdin, stdout] = [new PassThrough(), new PassThrough()]
  const sizes = new PassThrough({ objectMode: true })
  sizes.write({ width: 101, height: 31 })
  const script =
    'test -t 0 && echo terminal $TERM; while ! stty size | grep -q "31 101"; do sleep 0.02; done; echo sized; while ! stty size | grep -q "40 120"; do sleep 0.02; done; read x; echo "got $x"; exit 9'
  const done = runtime.exec(id, { args: ['sh', '-c', script.replaceAll('grep', 'busybox grep')], tty: true, stdin, stdout, resize: sizes })
  // runc turns the translation of line ends off in the inner terminal while the process may already write.
  await until(stdout, /terminal xterm\r+\n[^]*sized\r+\n/)
  sizes.write({ width: 120, height: 40 })
  stdin.write('word\r')
  await until(stdout, /got word\r\n/)
  assert.equal(await done, 9)
  sizes.end()
})

test('exec on a terminal ends when it is aborted', options, async (t) => {
  const { runtime, spec } = await testRuntime(t)
  const { id } = await runtime.start(spec())
  const running = runtime.exec(id, {
    args: ['sleep', '999'],
    tty: true,
    stdin: new PassThrough(),
    stdout: new PassThrough(),
    signal: AbortSignal.timeout(200),
  })
  await assert.rejects(running, { name: 'TimeoutError' })
})

test('attach to a terminal: what is typed is answered, resizing works, detaching leaves it running', options, async (t) => {
  const { runtime, spec } = await testRuntime(t)
  const container = spec({ args: ['sh'], tty: true, stdin: true })
  const { id } = await runtime.start(container)
  const [stdin, stdout, detach] = [new PassThrough(), new PassThrough(), new AbortController()]
  const sizes = new PassThrough({ objectMode: true })
  sizes.write({ width: 90, height: 25 })
  const attached = runtime.attach(id, { tty: true, stdin, stdout, resize: sizes, signal: detach.signal })
  stdin.write('while ! stty size | busybox grep -q "25 90"; do sleep 0.02; done; echo "an""swer"\n')
  await until(stdout, /answer\r\n/)
  detach.abort()
  await attached
  assert.equal((await runtime.state(id))?.phase, 'running')

  const [again, output] = [new PassThrough(), new PassThrough()]
  const second = runtime.attach(id, { tty: true, stdin: again, stdout: output })
  again.write('exit 6\n')
  await second
  assert.equal((await exitOf(runtime, id)).exitCode, 6)
})

test('attach with pipes: streams stay apart, the end of input reaches a container that takes it once', options, async (t) => {
  const { runtime, spec } = await testRuntime(t)
  const container = spec({
    command: 'echo ready; while read x; do echo "out $x"; echo "err $x" >&2; done; echo over',
    stdin: true,
    stdinOnce: true,
  })
  const { id } = await runtime.start(container)
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
  const exit = exitOf(runtime, id)
  const attached = runtime.attach(id, { tty: false, stdin, stdout, stderr })
  stdin.write('one\n')
  assert.match(await until(stdout, /out one\n/), /out one/)
  assert.equal(await until(stderr, /err one\n/), 'err one\n')
  stdin.end()
  await until(stdout, /over\n/)
  await attached
  assert.equal((await exit).exitCode, 0)
})

test('a watcher without input does not end the input of others', options, async (t) => {
  const { runtime, spec } = await testRuntime(t)
  const container = spec({ command: 'while :; do echo tick; sleep 0.05; done', stdin: true, stdinOnce: true })
  const { id } = await runtime.start(container)
  const [stdout, detach] = [new PassThrough(), new AbortController()]
  const attached = runtime.attach(id, { tty: false, stdout, signal: detach.signal })
  await until(stdout, /tick\ntick\n/)
  detach.abort()
  await attached
  assert.equal((await runtime.state(id))?.phase, 'running')
})
