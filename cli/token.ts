// `coracle token …`: join tokens, as Secrets of the running server. Read from the server's folder is what opens its
// door, so only root on that host can.

import { randomInt } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Client } from '#api/client/client.ts'
import { httpsClient } from '#api/client/https.ts'
import { timestamp } from '#api/clock.ts'
import { Secret } from '#api/kinds/index.ts'
import { silent } from '#api/log.ts'
import { bootstrapTokenType, endOf, nameOfToken, tokenNamespace } from '#control/auth/bootstrap-tokens.ts'
import { joinTokenOf } from '#control/pki/pki.ts'
import { readFrom } from './access.ts'

export type Where = { dataDir: string }

const letters = 'abcdefghijklmnopqrstuvwxyz0123456789'
const random = (length: number) => Array.from({ length }, () => letters[randomInt(letters.length)]).join('')

/** With the administrator's certificate, from the server's folder. */
export async function withServer({ dataDir }: Where, work: (client: Client, ca: string) => Promise<void>): Promise<void> {
  const [ca, cert, key] = await Promise.all(['ca.crt', 'admin.crt', 'admin.key'].map((file) => readFrom(dataDir, file)))
  const url = await readFile(join(dataDir, 'url'), 'utf8').catch((cause: unknown) => {
    throw new Error(`${join(dataDir, 'url')} cannot be read: is \`coracle server\` running here?`, { cause })
  })
  const client = httpsClient({
    server: url.trim(),
    credentials: { ca: ca ?? '', cert: cert ?? '', key: key ?? '' },
    userAgent: 'coracle/0.1.0',
    log: silent,
  })
  try {
    await work(client, ca ?? '')
  } finally {
    client.close()
  }
}

export type CreateOptions = Where & { ttlSeconds: number; node?: string; description?: string }

/** Prints the token: it is shown once, here. */
export const createToken = ({ ttlSeconds, node, description, ...where }: CreateOptions): Promise<void> =>
  withServer(where, async (client, ca) => {
    const [id, secret] = [random(6), random(16)]
    await client.create(Secret, {
      metadata: { namespace: tokenNamespace, name: nameOfToken(id) },
      type: bootstrapTokenType,
      stringData: {
        'token-id': id,
        'token-secret': secret,
        'usage-bootstrap-authentication': 'true',
        ...(ttlSeconds > 0 && { expiration: timestamp(Date.now() + ttlSeconds * 1000) }),
        ...(node && { 'node-name': node }),
        ...(description && { description }),
      },
    })
    console.log(joinTokenOf(ca, `${id}.${secret}`))
  })

export const listTokens = (where: Where): Promise<void> =>
  withServer(where, async (client) => {
    const { items } = await client.list(Secret, { namespace: tokenNamespace, fieldSelector: `type=${bootstrapTokenType}` })
    const rows = items.map((secret) => [
      field(secret, 'token-id'),
      left(field(secret, 'expiration')),
      field(secret, 'node-name') || '<any new>',
      field(secret, 'description') || '<none>',
    ])
    const table = [['ID', 'ENDS', 'NODE', 'DESCRIPTION'], ...rows.toSorted(([a = ''], [b = '']) => a.localeCompare(b))]
    const widths = [0, 1, 2].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)))
    for (const row of table) console.log(row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('   '))
  })

/** `id`: of the token, or the token itself. */
export const deleteToken = (id: string, where: Where): Promise<void> =>
  withServer(where, async (client) => {
    const plain = id.replace(/^K10[0-9a-f]*::/, '').split('.')[0] ?? ''
    await client.delete(Secret, { namespace: tokenNamespace, name: nameOfToken(plain) })
    console.log(`deleted ${plain}`)
  })

const field = ({ data }: Secret, name: string): string => Buffer.from(data?.[name] ?? '', 'base64').toString()

function left(expiration: string): string {
  const end = endOf(expiration)
  if (end === Number.POSITIVE_INFINITY) return '<never>'
  return end > Date.now() ? expiration : '<over>'
}
