// Requests for certificates that are judged as one name and would be used as another.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { explicit, integer, octets, oid, sequence, set, utf8 } from '#api/x509/der.ts'
import { type Keys, makeKey } from '#api/x509/key.ts'
import { toPem } from '#api/x509/pem.ts'
import { signed, spki } from '#api/x509/signed.ts'
import { type Live, live } from '#control/server/testing/live.fake.ts'

let server: Live
let keys: Keys
const requests = '/apis/certificates.k8s.io/v1/certificatesigningrequests'
const types = { cn: oid('2.5.4.3'), o: oid('2.5.4.10') }
const tags = { bmp: 30, universal: 28, teletex: 20, printable: 19, ia5: 22, visible: 26, general: 27, octets: 4 }

before(async () => {
  server = await live()
  keys = await makeKey()
})
after(() => server[Symbol.asyncDispose]())

const wide = (text: string, bytes: number) => Buffer.concat(Array.from(text, (c) => Buffer.alloc(bytes).fill(c, bytes - 1)))

function string(tag: number, content: Buffer): Buffer {
  const element = octets(content)
  element[0] = tag
  return element
}

const attribute = (type: Buffer, value: Buffer) => sequence(type, value)
const cn = (value: string | Buffer = 'ann') => set(attribute(types.cn, typeof value === 'string' ? utf8(value) : value))
const o = (value: string | Buffer) => set(attribute(types.o, typeof value === 'string' ? utf8(value) : value))

function csr(...subject: Buffer[]): string {
  const info = sequence(integer(Buffer.from([0])), sequence(...subject), spki(keys.publicKey), explicit(0))
  return toPem('CERTIFICATE REQUEST', signed(info, keys.privateKey))
}

let count = 0
const ask = (pem: string, signer = 'kubernetes.io/kube-apiserver-client') =>
  server.ask('POST', requests, {
    body: {
      metadata: { name: `r${count++}` },
      spec: { request: Buffer.from(pem).toString('base64'), signerName: signer, usages: ['client auth'] },
    },
  })

async function refused(pem: string, words: RegExp) {
  const { code, body } = await ask(pem)
  assert.deepEqual([code, body.reason], [403, 'Forbidden'], JSON.stringify(body))
  assert.match(body.message, words)
}

test('masters in every kind of string that a name may have', async () => {
  const word = 'system:masters'
  for (const value of [word, string(tags.ia5, Buffer.from(word)), string(tags.printable, Buffer.from(word))])
    await refused(csr(o(value), cn()), /with system:masters group is not allowed/)
  // One name among several, in one set or in more.
  await refused(csr(o('dev'), cn(), o(word)), /with system:masters group is not allowed/)
  await refused(csr(set(attribute(types.cn, utf8('ann')), attribute(types.o, utf8(word)))), /with system:masters group is not allowed/)
  const unread: [number, Buffer][] = [
    [tags.bmp, wide(word, 2)],
    [tags.universal, wide(word, 4)],
    ...[tags.teletex, tags.visible, tags.general, tags.octets].map((tag): [number, Buffer] => [tag, Buffer.from(word)]),
  ]
  for (const [tag, content] of unread) {
    await refused(csr(o(string(tag, content)), cn()), /neither UTF8String nor PrintableString nor IA5String/)
    await refused(csr(cn(string(tag, content))), /neither UTF8String nor PrintableString nor IA5String/)
  }
})

test('what programs read differently is no name', async () => {
  await refused(csr(o('dev\0system:masters'), cn()), /control character/)
  await refused(csr(o('dev\nO=system:masters'), cn()), /control character/)
  await refused(csr(o(string(12, Buffer.from([0xc0, 0x80]))), cn()), /no UTF-8/)
  await refused(csr(o(string(tags.ia5, Buffer.from([0xe9]))), cn()), /not ASCII/)
  await refused(csr(o(string(tags.printable, Buffer.from('a_b<'))), cn()), /not printable/)
  await refused(csr(cn('ann'), cn('system:node:a')), /more than one common name/)
  await refused(csr(sequence(attribute(types.cn, utf8('ann')))), /something else than sets/)
  await refused(csr(set(sequence(types.cn, utf8('ann'), utf8('bob')))), /no pair/)
})

test("names of the cluster's own parts are given out otherwise", async () => {
  for (const name of ['system:coracle-server', 'system:node:edge', 'system:serviceaccount:kube-system:x', 'system:anonymous', 'system:'])
    await refused(csr(cn(name)), /with common name "system:/)
  await refused(csr(o('system:nodes'), cn()), /with system:nodes group is not allowed/)
  assert.equal((await ask(csr(o('dev'), cn('ann')))).code, 201)
})
