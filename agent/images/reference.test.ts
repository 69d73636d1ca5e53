import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseReference } from './reference.ts'

const sha = `sha256:${'a'.repeat(64)}`

test('references mean what they mean to docker and kubernetes', () => {
  const names: [string, string][] = [
    ['busybox', 'docker.io/library/busybox:latest'],
    ['busybox:1.35', 'docker.io/library/busybox:1.35'],
    ['grafana/grafana', 'docker.io/grafana/grafana:latest'],
    ['index.docker.io/library/busybox', 'docker.io/library/busybox:latest'],
    ['docker.io/busybox', 'docker.io/library/busybox:latest'],
    ['registry.k8s.io/pause:3.10', 'registry.k8s.io/pause:3.10'],
    ['localhost/app', 'localhost/app:latest'],
    ['localhost:5000/app', 'localhost:5000/app:latest'],
    ['127.0.0.1:5000/team/app:v1', '127.0.0.1:5000/team/app:v1'],
    ['[::1]:5000/app:v1', '[::1]:5000/app:v1'],
    ['Registry/app', 'Registry/app:latest'],
    ['a__b/c--d.e:T_1', 'docker.io/a__b/c--d.e:T_1'],
    [`busybox@${sha}`, `docker.io/library/busybox@${sha}`],
    [`busybox:1.35@${sha}`, `docker.io/library/busybox@${sha}`],
    [`x.io:80/a/b@${sha}`, `x.io:80/a/b@${sha}`],
  ]
  for (const [text, name] of names) assert.equal(parseReference(text).name, name, text)
  assert.deepEqual(parseReference('localhost:5000/a/b:c'), {
    domain: 'localhost:5000',
    path: 'a/b',
    repository: 'localhost:5000/a/b',
    tag: 'c',
    name: 'localhost:5000/a/b:c',
  })
})

test('what is no reference is refused as InvalidImageName', () => {
  const wrong = [
    '',
    ':tag',
    'a b',
    'UPPER',
    'x/UPPER',
    'a//b',
    '/a',
    'a/',
    'a:',
    'a:-x',
    'a@',
    'a@sha256:12',
    `a@md5:${'a'.repeat(32)}`,
    '-a',
    'a_',
    'http://a/b',
    '../a',
    'a'.repeat(64),
    `x.io/${'a'.repeat(260)}`,
    `a:${'t'.repeat(129)}`,
    'a\n',
  ]
  for (const text of wrong)
    assert.throws(() => parseReference(text), { name: 'ImageError', reason: 'InvalidImageName' }, JSON.stringify(text))
  assert.throws(() => parseReference('UPPER'), { message: /couldn't parse image name "UPPER".*must be lowercase/ })
})
