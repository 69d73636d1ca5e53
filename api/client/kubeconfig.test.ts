import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import * as path from 'node:path'
import { test } from 'node:test'
import { isStatus } from '../errors.ts'
import { loadKubeconfig } from './kubeconfig.ts'

const config = `
apiVersion: v1
kind: Config
current-context: home
clusters:
- name: c
  cluster: { server: "https://10.0.0.1:6443", certificate-authority: pki/ca.crt }
users:
- name: by-cert
  user: { client-certificate-data: ${btoa('CERT')}, client-key-data: ${btoa('KEY')} }
- name: by-token
  user: { tokenFile: token }
- name: by-plugin
  user: { exec: { command: login } }
contexts:
- name: home
  context: { cluster: c, user: by-cert, namespace: shop }
- name: robot
  context: { cluster: c, user: by-token }
- name: person
  context: { cluster: c, user: by-plugin }
`

test('reads data and files, by context', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'kubeconfig-'))
  try {
    const file = path.join(folder, 'config')
    await writeFile(file, config.replace('pki/ca.crt', 'ca.crt'))
    await writeFile(path.join(folder, 'ca.crt'), 'CA')
    await writeFile(path.join(folder, 'token'), 'secret\n')
    const home = await loadKubeconfig(file)
    assert.deepEqual([home.server, home.namespace], ['https://10.0.0.1:6443', 'shop'])
    assert.deepEqual([home.credentials.ca, home.credentials.cert, home.credentials.key].map(String), ['CA', 'CERT', 'KEY'])
    assert.equal((await loadKubeconfig(file, 'robot')).credentials.token, 'secret')
    await assert.rejects(loadKubeconfig(file, 'person'), (error) => isStatus(error, 'BadRequest'))
    await assert.rejects(loadKubeconfig(file, 'nowhere'), (error) => isStatus(error, 'BadRequest'))
    await writeFile(file, '\t: {')
    await assert.rejects(loadKubeconfig(file), (error) => isStatus(error, 'BadRequest'))
  } finally {
    await rm(folder, { recursive: true })
  }
})
